/** The recovery user has the rights to the commands that recovery sends, and no others. */
import { readdirSync, readFileSync } from "node:fs";
import { join, resolve } from "node:path";
import { expect, test } from "vitest";

const root = resolve(import.meta.dirname, "../..");
/** Where connections to redis servers are used. */
const folders = ["recovery/act", "recovery/observe"];
/** Commands whose first argument is a right of its own. */
const containers = ["CLIENT", "CONFIG", "ACL", "SCRIPT", "FUNCTION", "MEMORY", "OBJECT"];

const filesOf = (folder: string) =>
  readdirSync(join(root, folder), { encoding: "utf8" }).map((name) => join(root, folder, name));

/** What the code sends: arrays of words that begin with a command, and calls of a pipeline. */
function commandsSent(): Set<string> {
  const sent = new Set<string>();
  for (const file of folders.flatMap(filesOf)) {
    const text = readFileSync(file, "utf8");
    for (const [, name = "", first] of text.matchAll(/(?:\[|\.call\()"([A-Z]{2,})"(?:, "([A-Z]+)")?/g))
      sent.add((containers.includes(name) ? `${name}|${first}` : name).toLowerCase());
    // What ioredis sends by itself when it connects, beside AUTH, which everybody may.
    if (text.includes("connectionName:")) sent.add("client|setname");
  }
  return sent;
}

function rightsOf(user: string): string[] {
  const lines = readFileSync(join(root, "infra/roles/redis/users.acl"), "utf8").split("\n");
  const words = lines.find((line) => line.startsWith(`user ${user} `))?.split(" ") ?? [];
  return words.filter((word) => /^[+-]/.test(word));
}

test("the recovery user may send what the code sends, and nothing else", () => {
  const [first, ...allowed] = rightsOf("recovery");
  expect(first).toBe("-@all");
  expect(allowed.map((right) => right.replace("+", "")).sort()).toEqual([...commandsSent()].sort());
});
