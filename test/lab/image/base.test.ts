import { readdirSync, readFileSync, statSync } from "node:fs";
import { join } from "node:path";
import { expect, test } from "vitest";
import { baseAmi, baseImageDir, recipeHash, sourcesFor } from "../../../lab/image/base.ts";

const recipe = join(import.meta.dirname, "../../../lab/image/recipe");
const files = readdirSync(recipe, { recursive: true, encoding: "utf8" })
  .map((name) => join(recipe, name))
  .filter((path) => statSync(path).isFile());

test("the image is known by its recipe", () => {
  expect(recipeHash()).toMatch(/^[0-9a-f]{16}$/);
  expect(recipeHash()).toBe(recipeHash());
  expect(baseImageDir({ cacheDir: "/cache" })).toBe(`/cache/images/base-${recipeHash()}`);
  expect(baseAmi).toMatch(/^ami-[0-9a-f]{17}$/);
});

test("no address of a package registry is in the recipe", () => {
  for (const file of files) expect(readFileSync(file, "utf8"), file).not.toMatch(/https?:\/\//);
});

test("the repository in the image offers what the program installs", () => {
  const offered = readFileSync(join(recipe, "packages.offered"), "utf8").split("\n");
  for (const name of [
    "redis-server",
    "redis-tools",
    "valkey-server",
    "valkey-tools",
    "haproxy",
    "socat",
    "jq",
    "curl",
    "rsync",
  ])
    expect(offered).toContain(name);
});

test("the packages come from where the host gets its own, whichever release it has", () => {
  const targets = (release: string) =>
    [
      `Debian|${release}|main|http://a/debian/|Packages`,
      `Debian|${release}|main|http://a/debian/|Translations`,
      `Debian|${release}-updates|main|http://a/debian/|Packages`,
      `Debian|${release}-backports|main|http://a/debian/|Packages`,
      `Debian|${release}|contrib|http://a/debian/|Packages`,
      `Debian|${release}-security|main|http://b/debian-security/|Packages`,
      `Other|${release}|main|http://c/|Packages`,
    ].join("\n");
  const sources = [
    "deb http://a/debian/ trixie main",
    "deb http://a/debian/ trixie-updates main",
    "deb http://b/debian-security/ trixie-security main",
  ];
  expect(sourcesFor("trixie", targets("bookworm"))).toEqual(sources);
  expect(sourcesFor("trixie", targets("trixie"))).toEqual(sources);
  expect(sourcesFor("trixie", targets("bookworm") + targets("trixie"))).toEqual(sources);
  expect(sourcesFor("trixie", "")).toEqual([]);
});
