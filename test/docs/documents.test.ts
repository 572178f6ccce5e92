/** The documents name files, headings and tests that exist. */
import { existsSync, readdirSync, readFileSync } from "node:fs";
import { dirname, join, relative, resolve } from "node:path";
import { describe, expect, test } from "vitest";
import { reportIt } from "../../recovery/decide/decision.ts";
import { tables } from "../../recovery/decide/policy/tables.ts";

const root = resolve(import.meta.dirname, "../..");
const read = (path: string) => readFileSync(join(root, path), "utf8");

const documents = [
  "README.md",
  "CONTRIBUTING.md",
  ...readdirSync(join(root, "docs"), { recursive: true, encoding: "utf8" })
    .filter((name) => name.endsWith(".md"))
    .map((name) => join("docs", name)),
];

/** The anchors of a document's headings, as GitHub makes them. */
function anchorsOf(path: string): string[] {
  return [...read(path).matchAll(/^#+ (.*)$/gm)].map(([, heading = ""]) =>
    heading
      .toLowerCase()
      .replace(/[^\p{L}\p{N} _-]/gu, "")
      .replaceAll(" ", "-"),
  );
}

describe.each(documents)("%s", (path) => {
  test("links to files and headings that exist", () => {
    for (const [, target = ""] of read(path).matchAll(/\]\(([^)\s]+)\)/g)) {
      if (/^[a-z]+:/.test(target)) continue;
      const [name = "", anchor] = target.split("#");
      const file = name === "" ? path : relative(root, resolve(root, dirname(path), name));
      expect(existsSync(join(root, file)), target).toBe(true);
      if (anchor !== undefined) expect(anchorsOf(file), target).toContain(anchor);
    }
  });

  test("names files of this repository that exist", () => {
    const named = [...read(path).matchAll(/`((?:infra|recovery|lab|test|scripts|docs)\/[^`\s]*)`/g)];
    for (const [, name = ""] of named) {
      if (!/[*{}…<]/.test(name)) expect(existsSync(join(root, name)), name).toBe(true);
    }
  });
});

test("docs/decisions/README.md lists every decision, and each has the four parts", () => {
  const pages = readdirSync(join(root, "docs/decisions")).filter((name) => /^\d{3}-/.test(name));
  const listed = [...read("docs/decisions/README.md").matchAll(/\((\d{3}-[^)]+)\)/g)].map(([, name]) => name);
  expect(listed.sort()).toEqual(pages.sort());
  for (const page of pages) {
    const headings = [...read(join("docs/decisions", page)).matchAll(/^## (.*)$/gm)].map(([, name]) => name);
    expect(headings, page).toEqual(["Context", "Options", "Decision", "Trade-offs"]);
  }
});

describe("docs/runbook.md, Situations", () => {
  const [, section = ""] = /^## Situations\n([\s\S]*?)^## /m.exec(read("docs/runbook.md")) ?? [];
  const texts = new Map(
    [...section.matchAll(/^### (\S+)\n([\s\S]*?)(?=^### |(?![\s\S]))/gm)].map(([, name = "", text = ""]) => [
      name,
      text,
    ]),
  );
  const alerts = [
    ...tables.flatMap(({ rows }) => rows.filter(({ opens, holds }) => opens || holds)),
    ...(["UNKNOWN", "BUG"] as const).map((situation) => ({ situation, operator: reportIt })),
  ];

  test("has a heading for every situation that an alert can carry, and no other one", () => {
    const names = new Set(alerts.map(({ situation }) => situation));
    expect([...texts.keys()].sort()).toEqual([...names].sort());
  });

  test.each(alerts)(
    "$situation says what the row says that a person should do",
    ({ situation, operator }) => {
      expect(texts.get(situation)).toContain(`**You:** ${operator}\n`);
    },
  );
});

test("docs/states.md has every situation", () => {
  const states = read("docs/states.md");
  for (const { title, rows } of tables) {
    expect(states).toContain(`## ${title}\n`);
    for (const { situation } of rows) expect(states).toContain(`| ${situation} | `);
  }
});

test("the messages by which docs/runbook.md names a blocked recovery are in recovery's code", () => {
  const code = readdirSync(join(root, "recovery"), { recursive: true, encoding: "utf8" })
    .filter((name) => name.endsWith(".ts"))
    .map((name) => read(join("recovery", name)))
    .join("\n");
  const quoted = [...read("docs/runbook.md").matchAll(/^- \*\*"([^"]+)"\*\*/gm)].map(([, text = ""]) => text);
  expect(quoted.length).toBeGreaterThan(4);
  for (const text of quoted) {
    // What a template fills in is different each time.
    const fixed = text.split(/MACHINE|haproxy\d(?: and haproxy\d)?|redis\d|\d+|…/).map((part) => part.trim());
    const telling = fixed.filter((part) => part.length >= 10);
    expect(telling.length, text).toBeGreaterThan(0);
    for (const part of telling) expect(code, text).toContain(part);
  }
});
