/**
 * Rule 2: fence before promote. A proxy is fenced by command while it answers; otherwise it, or the
 * failed redis machine, must be proven unable to carry a write.
 */
import type { Facts } from "../observe/facts.ts";
import { isOff } from "../observe/machines.ts";
import { type ProxyMachine, proxyMachines, type RedisMachine } from "../topology.ts";
import { isGivenUp, type Memory } from "./memory.ts";

export interface FencePlan {
  /** Proxies that are told to take the failed server out, and must confirm it. */
  proxies: ProxyMachine[];
  /** Why each other proxy cannot carry a write to it. */
  proven: string[];
  /** Why the fence cannot be had now; then nothing is promoted. */
  blocked?: string;
}

/** How the server of `machine` is to be fenced, or why it cannot be. */
export function planFence(facts: Facts, memory: Memory, machine: RedisMachine): FencePlan {
  const plan: FencePlan = { proxies: [], proven: [] };
  for (const proxy of proxyMachines) {
    if (takesCommands(facts, proxy)) plan.proxies.push(proxy);
    const proof = whyUnableToCarry(facts, memory, proxy, machine);
    if (proof) plan.proven.push(proof);
    else if (!takesCommands(facts, proxy)) plan.blocked ??= notProven(proxy, machine);
    else if (facts.machines[proxy].othersAlive.length > 0) plan.blocked ??= olderInstance(proxy);
  }
  return plan;
}

/** Does the proxy answer sensibly, so that it can be told and can confirm? */
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
  const isNew = memory.durable.newcomers[proxy] !== undefined && !isGivenUp(facts, memory, proxy);
  if (isNew && !takesCommands(facts, proxy)) return `${proxy} is new and was never registered`;
  return undefined;
}

function notProven(proxy: ProxyMachine, failed: RedisMachine): string {
  return `${proxy} does not answer and the cloud has not confirmed that ${proxy} or ${failed} is off`;
}

function olderInstance(proxy: ProxyMachine): string {
  return `the cloud has not confirmed that the earlier ${proxy} is off`;
}
