/**
 * Rule 2: fence before promote. While a proxy answers, it is fenced by command. Otherwise the proxy, or the failed redis machine, must
 * be proven unable to carry a write.
 */
import type { Facts } from "../../observe/facts.ts";
import { isOff } from "../../observe/machines.ts";
import { type ProxyMachine, proxyMachines, type RedisMachine } from "../../topology.ts";
import { isCondemned, type Memory } from "../memory/memory.ts";
import type { Step } from "../steps.ts";
import type { Known, ShardView } from "../view/view.ts";
import { isDead } from "./data-volume.ts";
import { powerOff } from "./power-off.ts";
import { whyCounterpartCannotServe } from "./redundancy.ts";

export interface FencePlan {
  /** Proxies that do not answer and are not proven unable to carry a write. */
  unproven: ProxyMachine[];
  /** Proxies that are told to take the failed server out, and must confirm it. */
  proxies: ProxyMachine[];
  /** Why each other proxy cannot carry a write to it. */
  proven: string[];
  /** Why the fence is not possible now; then nothing is promoted. */
  blocked?: string;
}

/** How the server of `machine` is to be fenced, or why it cannot be. */
export function planFence(facts: Facts, memory: Memory, machine: RedisMachine): FencePlan {
  const plan: FencePlan = { proxies: [], proven: [], unproven: [] };
  for (const proxy of proxyMachines) {
    if (takesCommands(facts, proxy)) plan.proxies.push(proxy);
    const proof = whyUnableToCarry(facts, memory, proxy, machine);
    if (proof) plan.proven.push(proof);
    else if (!takesCommands(facts, proxy)) {
      plan.unproven.push(proxy);
      plan.blocked ??= notProven(proxy, machine);
    } else if (facts.machines[proxy].othersAlive.length > 0) plan.blocked ??= olderInstance(proxy);
  }
  return plan;
}

/**
 * The machines whose power-off would prove the fence and which are not needed: a condemned proxy that does not answer, or the failed
 * redis machine if it is dead and its counterpart can take over every shard. Otherwise a power-off waits for the taint in Pulumi's
 * state, the comparison of programs and the budget. If a promotion depends on it, it waits for none of them (rule 9).
 */
export function powerOffsForFence(known: Known, failed: RedisMachine, shards: ShardView[]): Step[] {
  const { facts, memory } = known;
  const { unproven } = planFence(facts, memory, failed);
  if (unproven.length === 0) return [];
  // Rule 5: not a machine that is silent only because of a short cut of the network.
  const isGone = isDead(
    known,
    failed,
    shards.map(({ servers }) => servers[failed]),
  );
  const isSpare = isGone && whyCounterpartCannotServe(failed, shards) === undefined;
  return [...unproven, ...(isSpare ? [failed] : [])]
    .filter((machine) => isCondemned(facts, memory, machine))
    .flatMap((machine) => powerOff(memory, machine));
}

/** True if the proxy answers and its answer can be understood, so that it can take commands and confirm them. */
export function takesCommands(facts: Facts, proxy: ProxyMachine): boolean {
  const { look, view, refusal } = facts.proxies[proxy];
  return look.state === "up" && view !== undefined && refusal === undefined;
}

/** Why no write can pass this proxy to the failed machine even without a command, or undefined. */
function whyUnableToCarry(
  facts: Facts,
  memory: Memory,
  proxy: ProxyMachine,
  failed: RedisMachine,
): string | undefined {
  if (isOff(facts.machines[failed].cloud)) return `${failed} is off, says the cloud`;
  const { cloud, othersAlive } = facts.machines[proxy];
  if (othersAlive.length > 0) return undefined;
  if (isOff(cloud)) return `${proxy} is off, says the cloud`;
  const isNew = memory.durable.machines[proxy]?.newcomer !== undefined && !isCondemned(facts, memory, proxy);
  if (isNew && !takesCommands(facts, proxy)) return `${proxy} is new and was never registered`;
  return undefined;
}

function notProven(proxy: ProxyMachine, failed: RedisMachine): string {
  return `${proxy} does not answer and the cloud has not confirmed that ${proxy} or ${failed} is off`;
}

function olderInstance(proxy: ProxyMachine): string {
  return `the cloud has not confirmed that the earlier ${proxy} is off`;
}
