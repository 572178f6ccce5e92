/** Makes a lock of Pulumi's file backend like one that a killed pulumi leaves: `.pulumi/locks/ORG/PROJECT/STACK/ID.json`. */
import { randomUUID } from "node:crypto";
import { existsSync, mkdirSync, readdirSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { ApiError } from "./errors.ts";

/** The file backend knows no organizations and calls them all so. */
const organization = "organization";
/** One below the kernel's greatest possible number of processes: no process has it. */
const deadPid = 4_194_303;

/** Who held the lock: as pulumi writes it down. */
export type LockHolder = { hostname: string };

/** Leaves a lock on every stack in the state folder; gives the files. Throws when there is no stack. */
export function leaveLocks(stateDir: string, { hostname }: LockHolder, now = new Date()): string[] {
  const stacks = stacksIn(stateDir);
  if (stacks.length === 0) {
    throw new ApiError("NoStack", `there is no stack in ${stateDir} that could be locked`, 409);
  }
  const content = { pid: deadPid, username: "root", hostname, timestamp: now.toISOString() };
  return stacks.map(({ project, stack }) => {
    const folder = join(stateDir, ".pulumi/locks", organization, project, stack);
    mkdirSync(folder, { recursive: true });
    const file = join(folder, `${randomUUID()}.json`);
    writeFileSync(file, JSON.stringify(content), { mode: 0o600 });
    return file;
  });
}

function stacksIn(stateDir: string): { project: string; stack: string }[] {
  const root = join(stateDir, ".pulumi/stacks");
  if (!existsSync(root)) return [];
  return readdirSync(root, { withFileTypes: true })
    .filter((entry) => entry.isDirectory())
    .flatMap(({ name: project }) =>
      readdirSync(join(root, project))
        .flatMap((file) => /^(.+?)\.json(\.gz)?$/.exec(file)?.[1] ?? [])
        .filter((stack) => !stack.includes("."))
        .map((stack) => ({ project, stack })),
    );
}

/** Recovery, or `pulumi cancel`, may have removed it already. */
export function removeLock(file: string): void {
  rmSync(file, { force: true });
}
