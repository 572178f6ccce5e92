/** Rules that are kept by the shape of the code. */
import { readdirSync, readFileSync } from "node:fs";
import { dirname, join, resolve } from "node:path";
import { expect, test } from "vitest";
import { mutants } from "../simulation/mutants.ts";

const recovery = resolve(import.meta.dirname, "../../recovery");

/** Files that are loaded when this one is: type-only imports vanish, so they do not count. */
function loadedBy(file: string, seen = new Set<string>()): Set<string> {
  if (seen.has(file)) return seen;
  seen.add(file);
  const text = readFileSync(file, "utf8");
  for (const [, clause = "", path = ""] of text.matchAll(/^import (.*?)from "(\.[^"]+)";/gms)) {
    const named = /^\{(.*)\}/s.exec(clause.trim())?.[1];
    const onlyTypes =
      clause.startsWith("type ") || named?.split(",").every((name) => /^\s*(type |$)/.test(name));
    if (!onlyTypes) loadedBy(join(dirname(file), path), seen);
  }
  return seen;
}
const foldersOf = (files: Set<string>) =>
  new Set([...files].map((file) => dirname(file).slice(recovery.length + 1)));

test.each([
  "drain.ts",
  "fence.ts",
  "haproxy.ts",
  "paused-writes.ts",
  "promote.ts",
  "release.ts",
  "replicate.ts",
])("rule 9: act/%s needs no cloud, no DNS and no engine", (name) => {
  const loaded = loadedBy(join(recovery, "act", name));
  expect(foldersOf(loaded)).not.toContain("cloud");
  for (const file of loaded)
    expect(readFileSync(file, "utf8")).not.toMatch(/node:dns|world\.(cloud|engine|remote)/);
});

test("act/haproxy.ts alone knows commands of haproxy's runtime API", () => {
  const knows = readdirSync(join(recovery, "act")).filter((name) =>
    /["`](set (server|table)|use server|enable|disable|shutdown|show|keep|generation) /.test(
      readFileSync(join(recovery, "act", name), "utf8"),
    ),
  );
  expect(knows).toEqual(["haproxy.ts"]);
});

test.each(
  readdirSync(join(recovery, "decide"), { recursive: true, encoding: "utf8" }).filter((name) =>
    name.endsWith(".ts"),
  ),
)("decide/%s is pure: no socket, no file, no clock", (name) => {
  const loaded = loadedBy(join(recovery, "decide", name));
  for (const file of loaded) {
    if (file.endsWith("settings.ts")) continue; // types and defaults; reads only when asked
    expect(readFileSync(file, "utf8"), file).not.toMatch(
      /from "node:|Date\.now|performance\.now|Math\.random|setTimeout/,
    );
  }
});

test("docs/architecture.md names for each rule a place, and what fails without it, that exist", () => {
  const root = resolve(recovery, "..");
  const text = readFileSync(join(root, "docs/architecture.md"), "utf8");
  const rows = [...text.matchAll(/^\| (\d) \| `([^`]+)` \| (.*?) \| (.*) \|$/gm)];
  expect(new Set(rows.map(([, rule]) => Number(rule)))).toEqual(new Set([1, 2, 3, 4, 5, 6, 7, 8, 9]));
  for (const [row, , file = "", names = "", proofs = ""] of rows) {
    const code = readFileSync(join(root, file), "utf8");
    for (const [, name = ""] of names.matchAll(/`([^`]+)`/g)) expect(code, row).toContain(name);
    for (const [, path = ""] of proofs.matchAll(/`(test\/[^`]+)`/g)) readFileSync(join(root, path));
    for (const [, name, check] of proofs.matchAll(/mutant "([^"]+)" \(`(\w+)`\)/g)) {
      expect(mutants.find((mutant) => mutant.name === name)?.noticedBy, row).toContain(check);
    }
  }
  const told = rows.flatMap(([, , , , proofs = ""]) => [...proofs.matchAll(/mutant "([^"]+)"/g)]);
  const ofRules = mutants.map(({ name }) => name).filter((name) => name.startsWith("rule "));
  expect(told.map(([, name]) => name).sort()).toEqual(ofRules.sort());
});

test("rule 1: only one place makes a master", () => {
  const files = readdirSync(recovery, { recursive: true, encoding: "utf8" }).filter((name) =>
    name.endsWith(".ts"),
  );
  const makers = files.filter((name) => /"NO", "ONE"/.test(readFileSync(join(recovery, name), "utf8")));
  expect(makers).toEqual([join("act", "promote.ts")]);
});
