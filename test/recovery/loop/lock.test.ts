import { spawn } from "node:child_process";
import { once } from "node:events";
import { resolve } from "node:path";
import { expect, test } from "vitest";
import { systemClock } from "../../../recovery/clock.ts";
import { tryLock, waitForLock } from "../../../recovery/loop/lock.ts";

/** The one that the package brings: another may not run TypeScript. */
const node = resolve(import.meta.dirname, "../../../node_modules/.bin/node");
const runDir = `/run/barton-test-${process.pid}`;

test("one holder at a time; released, it can be taken again", async () => {
  const lock = await tryLock(runDir);
  expect(lock).toBeDefined();
  expect(await tryLock(runDir)).toBeUndefined();
  const other = await tryLock(`${runDir}-other`);
  expect(other).toBeDefined();
  await other?.release();
  await lock?.release();
  const again = await tryLock(runDir);
  expect(again).toBeDefined();
  await again?.release();
});

test("a holder that is killed leaves nothing behind", async () => {
  const module = resolve(import.meta.dirname, "../../../recovery/loop/lock.ts");
  const code = `import { tryLock } from ${JSON.stringify(module)}; if (await tryLock(${JSON.stringify(runDir)})) console.log("held");`;
  const holder = spawn(node, ["--input-type=module", "-e", code], {
    stdio: ["ignore", "pipe", "inherit"],
  });
  await once(holder.stdout, "data");
  expect(await tryLock(runDir)).toBeUndefined();
  holder.kill("SIGKILL");
  let waited = 0;
  const lock = await waitForLock(runDir, systemClock, () => {
    waited += 1;
  });
  expect(waited).toBeLessThanOrEqual(1);
  await lock?.release();
});
