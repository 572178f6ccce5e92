/** What acting adds to recovery's memory: each step that is done, so that nothing is done twice after a restart. */
import { type MachineName, type ProxyMachine, proxyMachines, type RedisMachine } from "../../topology.ts";
import { type Durable, type Memory, rollReason } from "./memory.ts";

/** What acting adds to memory: the steps that are done, so that nothing is done twice after a restart. */
export type Remembered =
  | { event: "ordered"; machine: MachineName; why: string }
  | { event: "withdrawn"; machine: MachineName }
  /** A person has found out why the machine failed so often: its budget is whole again (rule 8). */
  | { event: "forgiven"; machine: MachineName }
  | { event: "given up"; machine: MachineName; instanceId?: string; because: string }
  | { event: "taken back"; machine: MachineName; because: string }
  | { event: "tainted" | "untainted" | "power-off requested"; machine: MachineName }
  /** `instanceId`: the new instance, as far as the engine says it. */
  | { event: "launched"; machine: MachineName; instanceId?: string }
  | { event: "held"; machine: MachineName; why: string; untilMs: number }
  | { event: "registered" | "configured" | "configuration failed"; proxy: ProxyMachine }
  | { event: "recorded"; instanceId?: string }
  | { event: "promoting"; shard: number; epoch: number }
  | { event: "promoted"; shard: number; machine: RedisMachine; epoch: number };

const hourMs = 3_600_000;

/** The memory after one such event; the given one is left as it is. */
export function apply(memory: Memory, event: Remembered, wallMs: number): Memory {
  const next = structuredClone(memory);
  const { durable } = next;
  switch (event.event) {
    case "ordered":
      durable.ordered[event.machine] = event.why;
      break;
    case "withdrawn":
      delete durable.ordered[event.machine];
      break;
    case "forgiven":
      durable.replacements = durable.replacements.filter(({ machine }) => machine !== event.machine);
      break;
    case "given up":
      durable.givenUp[event.machine] = {
        instanceId: event.instanceId,
        because: event.because,
        ...(durable.ordered[event.machine] === rollReason ? { planned: true } : {}),
      };
      if (isProxy(event.machine)) durable.newcomers[event.machine] = { configured: false, failedAttempts: 0 };
      break;
    case "registered":
      delete durable.newcomers[event.proxy];
      break;
    case "configured":
      durable.newcomers[event.proxy] = { configured: true, failedAttempts: 0 };
      break;
    case "configuration failed":
      addFailedAttempt(durable, event.proxy);
      break;
    case "recorded":
      durable.recordedMonit = event.instanceId;
      break;
    case "promoting":
      durable.attempted[event.shard] = Math.max(durable.attempted[event.shard] ?? 0, event.epoch);
      break;
    case "promoted":
      durable.epochs[event.shard] = Math.max(durable.epochs[event.shard] ?? 0, event.epoch);
      // It may die before a cycle has seen it serve: the old master must not pass for the last one then. Which
      // process it is, the next look tells.
      durable.masters[event.shard] = { machine: event.machine, runId: "", epoch: event.epoch };
      break;
    default:
      applyToGivenUp(durable, event, wallMs);
  }
  return next;
}

function addFailedAttempt(durable: Durable, proxy: ProxyMachine): void {
  const newcomer = durable.newcomers[proxy];
  if (newcomer) newcomer.failedAttempts += 1;
}

type ReplacementEvent = Extract<
  Remembered,
  { event: "taken back" | "tainted" | "untainted" | "power-off requested" | "launched" | "held" }
>;

function applyToGivenUp(durable: Durable, event: ReplacementEvent, wallMs: number): void {
  const givenUp = durable.givenUp[event.machine];
  if (!givenUp) return;
  if (event.event === "tainted") givenUp.tainted = true;
  // Not simply forgotten: the taint must be taken away, and one may be under way this moment.
  if (event.event === "taken back") Object.assign(givenUp, { takenBack: true, because: event.because });
  // It may have been given up anew meanwhile.
  if (event.event === "untainted" && givenUp.takenBack) delete durable.givenUp[event.machine];
  if (event.event === "power-off requested") givenUp.powerOffRequested = true;
  if (event.event === "held") givenUp.held = { why: event.why, untilMs: event.untilMs };
  // The new instance may have failed and been given up while its launch was still under way: that one is to be
  // launched yet.
  if (event.event === "launched" && event.instanceId !== givenUp.instanceId) {
    givenUp.launched = true;
    if (givenUp.planned) return;
    const recent = durable.replacements.filter((one) => wallMs - one.wallMs < hourMs);
    durable.replacements = [...recent, { machine: event.machine, wallMs }];
  }
}

function isProxy(machine: MachineName): machine is ProxyMachine {
  return proxyMachines.some((proxy) => proxy === machine);
}
