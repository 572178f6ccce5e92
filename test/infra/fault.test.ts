/** The script that rehearsals break a machine with: whatever monit's key asks for, it does nothing else. */
import { join } from "node:path";
import { execa } from "execa";
import { expect, test } from "vitest";
import { root } from "./settings.ts";

const script = join(root, "infra/roles/common/fault");
const ask = (words: string[], env: Record<string, string> = {}) =>
  execa("sh", [script, ...words], { reject: false, env });

test.each([
  [["crash", "ssh.service"], "'ssh.service' is no server of this machine"],
  [["crash", "redis-server@9001;reboot.service"], "is no server of this machine"],
  [["crash", "redis-server@../x.service"], "is no server of this machine"],
  [["crash", "haproxy.service", "more"], "expected: crash UNIT"],
  [["hang", "haproxy.service"], "expected: crash UNIT"],
  [["vanish", "soon"], "'soon' is no number of seconds"],
  [["vanish"], "expected: crash UNIT"],
  [["reboot"], "expected: crash UNIT"],
  [[], "expected: crash UNIT"],
])("%j is refused", async (words, reason) => {
  expect(await ask(words)).toMatchObject({ exitCode: 2, stderr: expect.stringContaining(reason) });
});

test("started by a key, it takes its words from what ssh was asked for, and no shell reads them", async () => {
  const over = (command: string) => ask([], { SSH_ORIGINAL_COMMAND: command });
  expect((await over("fault vanish soon")).stderr).toContain("'soon' is no number");
  const injected = await over("fault crash haproxy.service; touch /tmp/barton-was-here");
  expect(injected).toMatchObject({ exitCode: 2, stderr: expect.stringContaining("expected: crash UNIT") });
  expect((await over("fault crash $(reboot)")).stderr).toContain("'$(reboot)' is no server");
});
