import { readdirSync, readFileSync, statSync } from "node:fs";
import { join } from "node:path";
import { expect, test } from "vitest";
import { baseAmi, baseImageDir, recipeHash } from "../../../lab/image/base.ts";

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
  for (const name of ["redis-server", "redis-tools", "haproxy", "socat", "jq", "curl", "rsync"])
    expect(offered).toContain(name);
});
