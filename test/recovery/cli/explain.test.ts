import { describe, expect, test } from "vitest";
import { explain, tables } from "../../../recovery/cli/explain.ts";

const header = `# Situations, and what recovery does in each

Everything below is printed by \`barton explain\` from the tables by which recovery decides; a test
(\`test/recovery/cli/explain.test.ts\`) compares. After a change of a table: \`npx vitest run test/recovery/cli/explain.test.ts -u\`.

<!-- barton explain -->
`;

test("docs/states.md is what barton explain prints", async () => {
  const expected = `${header}${explain()}\n<!-- end of barton explain -->\n`;
  await expect(expected).toMatchFileSnapshot("../../../docs/states.md");
});

describe.each(tables)("$title", ({ rows }) => {
  test("has every situation once", () => {
    const names = rows.map(({ situation }) => situation);
    expect(new Set(names).size).toBe(names.length);
  });

  test("leads only to situations that it has", () => {
    const names = rows.map(({ situation }) => situation);
    for (const { situation, leadsTo = [] } of rows) {
      for (const next of leadsTo) expect(names, `${situation} leads to ${next}`).toContain(next);
    }
  });

  test("every situation with steps says where they lead", () => {
    for (const { situation, steps, leadsTo } of rows) if (steps) expect(leadsTo, situation).toBeDefined();
  });

  test("every situation in which recovery waits for a person says what to do", () => {
    for (const { situation, holds, operator } of rows) if (holds) expect(operator, situation).toMatch(/\.$/);
  });

  test("from every situation there is a way to the desired state, unless a person must help", () => {
    const ways = new Set(rows.filter(({ settled }) => settled).map(({ situation }) => situation));
    for (const _ of rows) {
      for (const { situation, leadsTo = [] } of rows)
        if (leadsTo.some((next) => ways.has(next))) ways.add(situation);
    }
    const lost = rows.filter(({ situation, holds }) => !ways.has(situation) && !holds);
    expect(lost.map(({ situation }) => situation)).toEqual([]);
  });
});
