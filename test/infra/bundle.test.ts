import { execFileSync } from "node:child_process";
import {
  chmodSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  rmSync,
  symlinkSync,
  utimesSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join, relative } from "node:path";
import { afterEach, beforeEach, expect, test } from "vitest";
import { bundleFiles, programHash, writeBundle } from "../../infra/bundle.ts";
import { tar } from "../../infra/tar.ts";

let work: string;
beforeEach(() => {
  work = mkdtempSync(join(tmpdir(), "barton-bundle-"));
  put("package.json", "package-lock.json", "tsconfig.json", "scripts/redis-test", "scripts/failover");
  put("infra/index.ts", "infra/roles/redis/redis.conf", "recovery/monitor.ts");
  put("lab/Pulumi.yaml", "lab/provider/start", "lab/Pulumi.other.yaml", "Pulumi.yaml", "Pulumi.barton.yaml");
  chmodSync(join(work, "lab/provider/start"), 0o755);
  writeFileSync(join(work, "stack.yaml"), "config: {}\n");
});
afterEach(() => rmSync(work, { recursive: true, force: true }));

function put(...paths: string[]) {
  for (const path of paths) {
    mkdirSync(dirname(join(work, path)), { recursive: true });
    writeFileSync(join(work, path), `contents of ${path}\n`);
  }
}
const lab = () => ({
  root: work,
  projectFolder: "lab",
  stack: "local",
  configFile: join(work, "stack.yaml"),
});

test("the program, its project folder, and this stack's configuration only", () => {
  expect(bundleFiles(lab()).map((file) => file.path)).toEqual([
    "infra/index.ts",
    "infra/roles/redis/redis.conf",
    "lab/Pulumi.local.yaml",
    "lab/Pulumi.yaml",
    "lab/provider/start",
    "package-lock.json",
    "package.json",
    "recovery/monitor.ts",
    "scripts/failover",
    "scripts/redis-test",
    "tsconfig.json",
  ]);
  const aws = bundleFiles({ root: work, projectFolder: ".", stack: "barton" }).map((file) => file.path);
  expect(aws).toContain("Pulumi.yaml");
  expect(aws).toContain("Pulumi.barton.yaml");
  expect(aws.filter((path) => path.startsWith("lab/"))).toEqual([]);
});

test("the unpacked bundle has the hash of the working copy it is from", () => {
  const unpacked = join(work, "unpacked");
  mkdirSync(unpacked);
  writeFileSync(join(work, "program.tar"), tar(bundleFiles(lab())));
  execFileSync("tar", ["-xmf", join(work, "program.tar"), "-C", unpacked]);
  symlinkSync("/nowhere", join(unpacked, "node_modules"));
  expect(programHash({ root: unpacked, projectFolder: "lab", stack: "local" })).toBe(programHash(lab()));
});

test("it has the same hash behind a symbolic link, whichever side its folders are named from", () => {
  symlinkSync(work, `${work}-link`);
  const projectFolder = relative(work, `${work}-link/lab`);
  expect(programHash({ ...lab(), projectFolder })).toBe(programHash(lab()));
  expect(programHash({ ...lab(), root: `${work}-link` })).toBe(programHash(lab()));
  rmSync(`${work}-link`);
  expect(() => programHash({ ...lab(), projectFolder: ".." })).toThrow(
    /The project folder \.\. is not inside/,
  );
});

test("what editors leave behind does not count, and neither do dates", () => {
  const before = programHash(lab());
  put("infra/.index.ts.swp", "infra/index.ts~", "lab/run.log", "infra/index.ts", "README.md", "test/a.ts");
  expect(programHash(lab())).toBe(before);
});

test.each([
  ["a changed file", () => writeFileSync(join(work, "infra/index.ts"), "other\n")],
  ["a new file", () => put("recovery/decide/decide.ts")],
  ["a changed mode", () => chmodSync(join(work, "scripts/failover"), 0o755)],
  ["a changed configuration", () => writeFileSync(join(work, "stack.yaml"), "config: { a: 1 }\n")],
])("%s changes the hash", (_, change) => {
  const before = programHash(lab());
  change();
  expect(programHash(lab())).not.toBe(before);
});

test("the archive is the same bytes at any time, and holds long paths", () => {
  put(`infra/${"folder/".repeat(12)}${"n".repeat(40)}.ts`);
  expect(tar(bundleFiles(lab())).equals(tar(bundleFiles(lab())))).toBe(true);
  writeFileSync(join(work, "program.tar"), tar(bundleFiles(lab())));
  const listing = execFileSync("tar", ["-tvf", join(work, "program.tar")], { encoding: "utf8" });
  expect(listing).toMatch(/-rw-r--r-- 0\/0 .* infra\/(folder\/){12}n{40}\.ts/);
  expect(listing).toMatch(/-rwxr-xr-x 0\/0 .* lab\/provider\/start/);
});

test("is written once by its hash; yesterday's archives go", () => {
  const cache = join(work, "cache");
  process.env.XDG_CACHE_HOME = cache;
  const old = join(cache, "barton", `program-${"0".repeat(64)}.tar`);
  mkdirSync(dirname(old), { recursive: true });
  writeFileSync(old, "");
  utimesSync(old, 0, 0);
  const { archive, hash } = writeBundle(lab());
  expect(writeBundle(lab())).toEqual({ archive, hash });
  expect(readdirSync(join(cache, "barton"))).toEqual([`program-${hash}.tar`]);
  expect(execFileSync("tar", ["-tf", archive]).toString()).toContain("infra/index.ts\n");
});

test("says what is missing or cannot travel", () => {
  symlinkSync("/etc/passwd", join(work, "infra/link"));
  expect(() => bundleFiles(lab())).toThrow(/infra\/link is neither a file nor a folder.*remove it/);
  rmSync(join(work, "infra/link"));
  rmSync(join(work, "scripts/failover"));
  expect(() => bundleFiles(lab())).toThrow(/needs scripts\/failover, but there is no/);
});
