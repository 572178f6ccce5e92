/**
 * Recovery's budget of replacements (rule 8), from outside. A test run has a month of failures in an hour, and the budget rightly
 * blocks that. So a run resets the budget, and reports it.
 */
import { existsSync, readFileSync } from "node:fs";
import { recentReplacements } from "../recovery/decide/rules/budget.ts";
import { defaultLimits } from "../recovery/settings.ts";
import { replaceableMachines } from "../recovery/topology.ts";
import type { Lab } from "./lab.ts";
import { runningMachine } from "./machines.ts";
import type { LabOperator } from "./operate.ts";

const memoryFile = "/var/lib/barton/memory.json";

/** How many replacements a machine has left in this hour, for the machine that has the fewest. */
export function replacementsLeft(lab: Lab): { machine: string; left: number } {
  const replacements = replacementsOn(runningMachine(lab, "monit").leader);
  return replaceableMachines
    .map((machine) => ({
      machine,
      left:
        defaultLimits.replacementsPerHourMax - recentReplacements(replacements, machine, Date.now()).length,
    }))
    .reduce((a, b) => (b.left < a.left ? b : a));
}

/** What the monitor remembers; nothing before it has anything to remember. */
function replacementsOn(leader: number): Parameters<typeof recentReplacements>[0] {
  const file = `/proc/${leader}/root${memoryFile}`;
  if (!existsSync(file)) return [];
  return (JSON.parse(readFileSync(file, "utf8")) as { replacements?: [] }).replacements ?? [];
}

/** Gives every machine its whole budget, as a person would who knows why it failed so often. */
export async function forgiveAll(operator: LabOperator): Promise<void> {
  for (const machine of replaceableMachines) await operator.exec("monit", "barton", "forgive", machine);
}

/** Replaces recovery's memory of what it has replaced, which needs a restart of the monitor. */
export async function rememberReplacements(
  operator: LabOperator,
  replacements: readonly { machine: string; wallMs: number }[],
): Promise<void> {
  const edit = `const fs = require("node:fs"), file = ${JSON.stringify(memoryFile)};
    const memory = JSON.parse(fs.readFileSync(file, "utf8"));
    fs.writeFileSync(file, JSON.stringify({ ...memory, replacements: ${JSON.stringify(replacements)} }));`;
  await operator.exec("monit", "systemctl", "stop", "barton-monitor");
  try {
    await operator.exec("monit", "/opt/barton/tools/bin/node", "-e", edit);
  } finally {
    await operator.exec("monit", "systemctl", "start", "barton-monitor");
  }
}
