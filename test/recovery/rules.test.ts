/** Rules that are kept by the shape of the code. */
import { readdirSync, readFileSync } from "node:fs";
import { dirname, join, resolve } from "node:path";
import { expect, test } from "vitest";

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

test.each(["fence.ts", "promote.ts", "release.ts", "replicate.ts"])(
  "rule 9: act/%s needs no cloud, no DNS and no engine",
  (name) => {
    const loaded = loadedBy(join(recovery, "act", name));
    expect(foldersOf(loaded)).not.toContain("cloud");
    for (const file of loaded)
      expect(readFileSync(file, "utf8")).not.toMatch(/node:dns|world\.(cloud|engine|remote)/);
  },
);

test.each(readdirSync(join(recovery, "decide")))(
  "decide/%s is pure: no socket, no file, no clock",
  (name) => {
    const loaded = loadedBy(join(recovery, "decide", name));
    for (const file of loaded) {
      if (file.endsWith("settings.ts")) continue; // types and defaults; reads only when asked
      expect(readFileSync(file, "utf8"), file).not.toMatch(
        /from "node:|Date\.now|performance\.now|Math\.random|setTimeout/,
      );
    }
  },
);

test("rule 1: only one place makes a master", () => {
  const files = readdirSync(recovery, { recursive: true, encoding: "utf8" }).filter((name) =>
    name.endsWith(".ts"),
  );
  const makers = files.filter((name) => /"NO", "ONE"/.test(readFileSync(join(recovery, name), "utf8")));
  expect(makers).toEqual([join("act", "promote.ts")]);
});
