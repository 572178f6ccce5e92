/** Confirmation before something is broken or replaced, at a real terminal (a pseudo terminal made by `script`). */
import { join } from "node:path";
import { execa } from "execa";
import { expect, test } from "vitest";
import { root } from "../../infra/settings.ts";

const program = `
  const { isTyped } = await import(${JSON.stringify(join(root, "recovery/cli/ask.ts"))});
  console.log("answer: " + (await isTyped("redis1 is broken for real.", "redis1", "type it at a terminal")));
`;
const node = [process.execPath, "--input-type=module", "-e", program];

test.each([
  ["redis1", true],
  ["redis2", false],
  ["yes", false],
  ["", false],
])('typed "%s": %s', async (typed, answer) => {
  const command = node.map((word) => `'${word}'`).join(" ");
  const { stdout } = await execa("script", ["--quiet", "--return", "--command", command, "/dev/null"], {
    input: `${typed}\n`,
  });
  expect(stdout).toContain('redis1 is broken for real. Type "redis1":');
  expect(stdout).toContain(`answer: ${answer}`);
});

test("where nobody can be asked it is an error that says what to do", async () => {
  const [file = "", ...args] = node;
  const { exitCode, stderr } = await execa(file, args, { reject: false, stdin: "ignore" });
  expect(exitCode).not.toBe(0);
  expect(stderr).toContain("nobody can be asked here: type it at a terminal");
});
