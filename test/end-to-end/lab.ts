/**
 * The lab of the end-to-end tests: built once for all of them and removed at the end. Its name comes from the
 * clone's path, so that a run that was broken off is cleaned up by the next one and two clones never meet.
 * BARTON_TEST_LAB=NAME uses a lab that is up already, and leaves it up: for work on single tests.
 */
import { createHash } from "node:crypto";
import { join } from "node:path";
import { execa } from "execa";
import type { TestProject } from "vitest/node";

const root = join(import.meta.dirname, "../..");

declare module "vitest" {
  interface ProvidedContext {
    labName: string;
  }
}

export default async function setup(project: TestProject): Promise<() => Promise<void>> {
  const present = process.env.BARTON_TEST_LAB;
  if (present) {
    project.provide("labName", present);
    return async () => {};
  }
  const name = `test-${createHash("sha256").update(root).digest("hex").slice(0, 8)}`;
  const lab = (verb: string) =>
    execa(join(root, "scripts/lab"), [verb, "--name", name], {
      stdin: "ignore",
      stdout: "inherit",
      stderr: "inherit",
    });
  await lab("down");
  await lab("up");
  project.provide("labName", name);
  return async () => {
    if (process.env.BARTON_KEEP_LAB) {
      console.log(`BARTON_KEEP_LAB is set: the lab '${name}' stays up`);
    } else {
      await lab("down");
    }
  };
}
