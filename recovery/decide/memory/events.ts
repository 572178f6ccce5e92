/** Events from acting, and how they change recovery's memory: each step that is done, so that nothing is done twice after a restart. */
import { type MachineName, type ProxyMachine, proxyMachines, type RedisMachine } from "../../topology.ts";
import { copyOf } from "./copy.ts";
import { entryOf, type Memory, rollReason } from "./memory.ts";
import { condemned, type Progress, progressed } from "./replacement.ts";

/** An event that acting writes into memory: a step that is done, so that it is not done twice after a restart. */
export type Remembered =
  | { event: "ordered"; machine: MachineName; why: string }
  | { event: "withdrawn"; machine: MachineName }
  /** A person has found out why the machine failed so often: its budget is whole again (rule 8). */
  | { event: "forgiven"; machine: MachineName }
  | { event: "condemned"; machine: MachineName; instanceId?: string; because: string }
  | ReplacementEvent
  | { event: "registered" | "configured" | "configuration failed"; proxy: ProxyMachine }
  | { event: "recorded"; instanceId?: string }
  | { event: "promoting"; shard: number; epoch: number }
  | { event: "promoted"; shard: number; machine: RedisMachine; epoch: number; instanceId?: string };

/** `instanceId` of `launched`: the new instance, as far as the engine says it. */
type ReplacementEvent = { machine: MachineName } & (
  | Exclude<Progress, { event: "launched" }>
  | { event: "launched"; instanceId?: string }
  | { event: "untainted" }
);

const hourMs = 3_600_000;

/** The memory after one such event; the given one is left as it is. */
export function apply(memory: Memory, event: Remembered, wallMs: number): Memory {
  const next = copyOf(memory);
  const { durable } = next;
  const machineOf = (name: MachineName) => entryOf(durable.machines, name, {});
  const shardOf = (index: number) => entryOf(durable.shards, index, { epoch: 0, attempted: 0 });
  switch (event.event) {
    case "ordered":
      machineOf(event.machine).ordered = event.why;
      break;
    case "withdrawn":
      delete machineOf(event.machine).ordered;
      break;
    case "forgiven":
      durable.replacements = durable.replacements.filter(({ machine }) => machine !== event.machine);
      break;
    case "condemned": {
      const machine = machineOf(event.machine);
      const planned = machine.ordered === rollReason && { planned: true as const };
      const { instanceId, because } = event;
      machine.replacement = condemned({ instanceId, because, ...planned });
      if (isProxy(event.machine)) machine.newcomer = { configured: false, failedAttempts: 0 };
      break;
    }
    case "registered":
      delete machineOf(event.proxy).newcomer;
      break;
    case "configured":
      machineOf(event.proxy).newcomer = { configured: true, failedAttempts: 0 };
      break;
    case "configuration failed": {
      const { newcomer } = machineOf(event.proxy);
      if (newcomer) newcomer.failedAttempts += 1;
      break;
    }
    case "recorded":
      durable.recordedMonit = event.instanceId;
      break;
    case "promoting": {
      const shard = shardOf(event.shard);
      shard.attempted = Math.max(shard.attempted, event.epoch);
      break;
    }
    case "promoted": {
      const shard = shardOf(event.shard);
      shard.epoch = Math.max(shard.epoch, event.epoch);
      // It may die before a cycle has seen it serve: the old master must not pass for the last one then. Which
      // process it is, the next look tells.
      const { machine, epoch, instanceId } = event;
      shard.master = { machine, runId: "", epoch, instanceId };
      next.confirmed = { ...next.confirmed, [event.shard]: true };
      break;
    }
    default:
      applyToReplacement(next, event, wallMs);
  }
  return next;
}

function applyToReplacement({ durable }: Memory, event: ReplacementEvent, wallMs: number): void {
  const machine = durable.machines[event.machine];
  const before = machine?.replacement;
  if (!before) return;
  if (event.event === "untainted") {
    // It may have been condemned again meanwhile.
    if (before.phase === "taken back") delete machine.replacement;
    return;
  }
  // The new instance may have failed and been condemned while its launch was still under way: its own successor
  // is still to be launched.
  if (event.event === "launched" && event.instanceId === before.instanceId) return;
  machine.replacement = progressed(before, event);
  if (event.event !== "launched" || before.planned) return;
  const recent = durable.replacements.filter((one) => wallMs - one.wallMs < hourMs);
  durable.replacements = [...recent, { machine: event.machine, wallMs }];
}

function isProxy(machine: MachineName): machine is ProxyMachine {
  return proxyMachines.some((proxy) => proxy === machine);
}
