import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect, test } from "vitest";
import { withOptionsFirst } from "../../lab/cli-arguments.ts";
import { execCommand, shellQuoted } from "../../lab/exec.ts";
import {
  insideNetwork,
  labNamed,
  machineNetns,
  readLabConfig,
  whyNotALabName,
  writeLabConfig,
} from "../../lab/lab.ts";

test.each(["local", "a", "test-2", "0", "a".repeat(24)])("%j can be the name of a lab", (name) => {
  expect(whyNotALabName(name)).toBeUndefined();
});

test.each(["", "-a", "a-", "A", "a.b", "a/b", "..", "a b", "ä", "a".repeat(25), "a\n"])(
  "%j cannot",
  (name) => {
    expect(whyNotALabName(name)).toContain("cannot be the name of a lab");
    expect(() => labNamed(name)).toThrow(name === "" ? /cannot be/ : JSON.stringify(name));
  },
);

test("the name comes from the argument, else from BARTON_LAB, else it is local", () => {
  expect(labNamed("x", { BARTON_LAB: "y" }).name).toBe("x");
  expect(labNamed(undefined, { BARTON_LAB: "y" }).name).toBe("y");
  expect(labNamed(undefined, { BARTON_LAB: "" }).name).toBe("local");
  expect(() => labNamed(undefined, { BARTON_LAB: "No!" })).toThrow(/"No!"/);
});

test("everything of a lab is in one folder, and labs share nothing but the cache", () => {
  const env = { BARTON_LAB_HOME: "/home/labs", BARTON_CACHE: "/cache" };
  const one = labNamed("one", env);
  const two = labNamed("two", env);
  expect(one.dir).toBe("/home/labs/labs/one");
  const paths = [
    one.socket,
    one.pidFile,
    one.resourcesFile,
    one.configFile,
    one.stateDir,
    one.sshKey,
    one.imagesDir,
  ];
  for (const path of paths) expect(path.startsWith(`${one.dir}/`)).toBe(true);
  expect(two.cacheDir).toBe(one.cacheDir);
  for (const key of ["dir", "netns", "cgroup", "socket"] as const) expect(two[key]).not.toBe(one[key]);
});

test("no lab's namespace can be mistaken for another's machine", () => {
  expect(machineNetns(labNamed("a"), "i-1")).toBe("barton-a.i-1");
  expect(machineNetns(labNamed("a"), "i-1").startsWith(`${labNamed("a-b").netns}.`)).toBe(false);
});

test.each([
  [{ BARTON_LAB_HOME: "relative" }, /BARTON_LAB_HOME must be an absolute path/],
  [{ BARTON_CACHE: "relative" }, /BARTON_CACHE must be an absolute path/],
  [{ BARTON_LAB_HOME: "/with,comma" }, /BARTON_LAB_HOME.*may not contain/],
  [{ BARTON_LAB_HOME: `/${"long/".repeat(30)}` }, /shorter BARTON_LAB_HOME/],
])("%j is refused", (env, message) => {
  expect(() => labNamed("x", env)).toThrow(message);
});

test("a command inside the network goes through nsenter, with its words unchanged", () => {
  expect(insideNetwork(labNamed("x"), ["ssh", "a b"])).toEqual([
    "nsenter",
    "--net=/run/netns/barton-x",
    "ssh",
    "a b",
  ]);
});

test("settings are kept, a lab without any has none, a broken file is named", () => {
  const home = mkdtempSync(join(tmpdir(), "barton-lab-"));
  try {
    const lab = { ...labNamed("x"), configFile: join(home, "lab.json") };
    expect(readLabConfig(lab)).toEqual({});
    writeLabConfig(lab, { toolsArchive: "/cache/tools.tar.gz" });
    expect(readLabConfig(lab)).toEqual({ toolsArchive: "/cache/tools.tar.gz" });
    writeFileSync(lab.configFile, "{");
    expect(() => readLabConfig(lab)).toThrow(/lab\.json cannot be read as JSON/);
  } finally {
    rmSync(home, { recursive: true });
  }
});

test.each([
  ["exec redis1 -- ls --name x", "exec redis1 -- ls --name x"],
  ["exec redis1 --name n -- ls", "exec --name n redis1 -- ls"],
  ["exec --name n redis1 -- ls", "exec --name n redis1 -- ls"],
  ["ssh redis1 --name=n -- ls -l", "ssh --name=n redis1 -- ls -l"],
  ["exec redis1 ls --name x", "exec redis1 ls --name x"],
  ["status --json", "status --json"],
  ["fault partition a b --one-way", "fault partition a b --one-way"],
])("%j is read as %j", (given, read) => {
  expect(withOptionsFirst(given.split(" ")).join(" ")).toBe(read);
});

test.each([
  ["plain", "plain"],
  ["two words", "'two words'"],
  ["it's", "'it'\\''s'"],
  ["", "''"],
  ["$HOME;x", "'$HOME;x'"],
])("%j for a shell is %s", (word, quoted) => {
  expect(shellQuoted(word)).toBe(quoted);
});

test("a command in a machine gets root's environment and no other; with a terminal, one of the machine's own", () => {
  const plain = execCommand(42, ["ls", "a b"], false);
  expect(plain.slice(0, 2)).toEqual(["nsenter", "--target=42"]);
  expect(plain).toContain("--ignore-environment");
  expect(plain.slice(-2)).toEqual(["ls", "a b"]);
  expect(execCommand(42, ["ls", "a b"], true).slice(-5)).toEqual(
    ["script", "--quiet", "--return", "--command", "ls 'a b'", "/dev/null"].slice(-5),
  );
});
