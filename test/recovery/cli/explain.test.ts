import { describe, expect, test } from "vitest";
import { explain } from "../../../recovery/cli/explain.ts";
import { nothingToDo } from "../../../recovery/decide/policy/table.ts";
import { tables } from "../../../recovery/decide/policy/tables.ts";

const header = `# Situations, and what recovery does in each

The tables below are printed by \`barton explain\` from the tables by which recovery decides; a test
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

  test("every situation says what a person should do", () => {
    for (const { situation, operator } of rows) expect(operator, situation).toMatch(/^[A-Z].*\.$/);
  });

  test("every situation in which recovery waits for a person says more than that nothing is to do", () => {
    for (const { situation, holds, operator } of rows)
      if (holds) expect(operator, situation).not.toBe(nothingToDo);
  });
});
