/**
 * The lab's cloud: the store, and its effects on the host. Each change of a resource ends in {@link Cloud.converge}, which makes
 * bridges, resolvers and firewalls match the store.
 */
import { type Lab, machineNetns } from "../lab.ts";
import { lossRules } from "./firewall.ts";
import { applyRules, shapeNetwork, shapeStandIns } from "./network.ts";
import { firewallOf, isOn, lossyLinks, networkPlan, resolverPlans, standInPlan } from "./plan.ts";
import { Resolver } from "./resolver.ts";
import { Store } from "./store.ts";
import { run, Turns } from "./system.ts";

export type Log = (line: string) => void;

export class Cloud {
  readonly lab: Lab;
  readonly store: Store;
  readonly log: Log;
  /** Work on one instance (or on the network) happens in turns. */
  readonly turns = new Turns();
  readonly #resolvers = new Map<string, Resolver>();
  /** Rules that a machine's namespace has now. */
  readonly #rules = new Map<string, string>();
  #shape = "";
  #standIns = "";
  /** Rules of the lab's own namespace that lose what machines send. */
  #losses = "";

  constructor(lab: Lab, log: Log) {
    this.lab = lab;
    this.log = log;
    this.store = new Store(lab.resourcesFile);
  }

  /** Applies what the store says to the host's network; cheap when nothing differs. */
  converge(): Promise<void> {
    return this.turns.take("network", async () => {
      const plan = networkPlan(this.store);
      const shape = JSON.stringify(plan);
      if (shape !== this.#shape) await shapeNetwork(plan);
      this.#shape = shape;
      await this.#convergeStandIns();
      await this.#convergeResolvers();
      await this.#convergeFirewalls();
      await this.#convergeLosses();
    });
  }

  async #convergeLosses(): Promise<void> {
    const rules = lossRules(lossyLinks(this.store));
    if (rules !== this.#losses) await run(["nft", "-f", "-"], { input: rules });
    this.#losses = rules;
  }

  async #convergeStandIns(): Promise<void> {
    const plan = standInPlan(this.store);
    const text = JSON.stringify(plan);
    if (text !== this.#standIns) await shapeStandIns(machineNetns(this.lab, "void"), plan);
    this.#standIns = text;
  }

  async #convergeResolvers(): Promise<void> {
    const plans = resolverPlans(this.store);
    for (const plan of plans) {
      const resolver = this.#resolvers.get(plan.vpc.id) ?? new Resolver(this.lab, plan.vpc.id);
      this.#resolvers.set(plan.vpc.id, resolver);
      await resolver.apply(plan);
    }
    for (const [vpcId, resolver] of this.#resolvers) {
      if (plans.some((plan) => plan.vpc.id === vpcId)) continue;
      await resolver.remove();
      this.#resolvers.delete(vpcId);
    }
  }

  /** Only machines that are plugged in have a namespace: see {@link firewallStands}. */
  async #convergeFirewalls(): Promise<void> {
    for (const instance of this.store.instances.values()) {
      if (!isOn(instance) || !this.#rules.has(instance.id)) continue;
      const rules = firewallOf(this.store, instance);
      if (this.#rules.get(instance.id) === rules) continue;
      try {
        await applyRules(machineNetns(this.lab, instance.id), rules);
        this.#rules.set(instance.id, rules);
      } catch (error) {
        // It may be going off at this moment; a machine that stays keeps its former rules and is tried again.
        this.log(`${instance.id}: its firewall could not be changed: ${(error as Error).message}`);
      }
    }
  }

  /** A machine has just been plugged in, or was on before this control plane: from now on it gets its rules. */
  async firewallStands(instanceId: string): Promise<void> {
    this.#rules.set(instanceId, "");
    await this.converge();
    if (this.#rules.get(instanceId) === "") {
      throw new Error(`${instanceId} has no firewall: see the control plane's log`);
    }
  }

  firewallGone(instanceId: string): void {
    this.#rules.delete(instanceId);
  }

  /** False when a resolver has ended by itself; {@link converge} starts it again. */
  get resolversRun(): boolean {
    return [...this.#resolvers.values()].every((resolver) => resolver.isRunning);
  }
}
