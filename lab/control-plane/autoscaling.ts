/**
 * The health checks of auto scaling groups. A group notices an instance that is off, or that fails its status checks because its link
 * is silent. It terminates the instance and launches another one. AWS checks about once a minute; the lab is faster.
 */
import type { Cloud } from "./cloud.ts";
import type { Lifecycle } from "./lifecycle.ts";
import { membersOf, settleGroup } from "./resources/autoscaling.ts";
import type { Instance, Resource } from "./store.ts";

/** How long an instance must be unhealthy, by what ails it, in milliseconds. */
const noticedAfterMs = { off: 2_000, unreachable: 10_000 };
/** After a launch that failed, the next one waits, in milliseconds. */
const retryMs = 5_000;

type Ailment = keyof typeof noticedAfterMs;

export class AutoScaling {
  readonly #cloud: Cloud;
  readonly #lifecycle: Lifecycle;
  /** Since when an instance is unhealthy. */
  readonly #since = new Map<string, number>();
  /** Groups that are being settled, or that pause after a failure. */
  readonly #busy = new Set<string>();

  constructor(cloud: Cloud, lifecycle: Lifecycle) {
    this.#cloud = cloud;
    this.#lifecycle = lifecycle;
  }

  /** Looks after all groups; to be called often. */
  watch(): void {
    for (const group of this.#cloud.store.list("autoscaling/group")) {
      if (!this.#busy.has(group.id)) void this.#settle(group);
    }
  }

  async #settle(group: Resource): Promise<void> {
    this.#busy.add(group.id);
    try {
      this.#endUnhealthy(group.id);
      await settleGroup({ cloud: this.#cloud, store: this.#cloud.store, lifecycle: this.#lifecycle }, group);
      this.#busy.delete(group.id);
    } catch (error) {
      this.#cloud.log(`group ${group.id} cannot launch an instance: ${(error as Error).message}`);
      setTimeout(() => this.#busy.delete(group.id), retryMs).unref();
    }
  }

  /** AWS, too, has a group terminate what it gives up: a machine that was only off never comes back. */
  #endUnhealthy(group: string): void {
    for (const member of membersOf(this.#cloud.store, group)) {
      const ailment = this.#ailmentOf(member);
      if (ailment === undefined) {
        this.#since.delete(member.id);
        continue;
      }
      const since = this.#since.get(member.id) ?? performance.now();
      this.#since.set(member.id, since);
      if (performance.now() - since < noticedAfterMs[ailment]) continue;
      this.#since.delete(member.id);
      this.#cloud.log(`group ${group}: ${member.id} is ${ailment}: it is terminated and replaced`);
      this.#lifecycle.terminate(member.id).catch((error: Error) => this.#cloud.log(error.message));
    }
  }

  #ailmentOf({ id, state }: Instance): Ailment | undefined {
    if (state === "stopping" || state === "stopped") return "off";
    const isSilent = this.#cloud.store.faults.some(
      (fault) => fault.kind === "vanish" && fault.instanceId === id,
    );
    return state === "running" && isSilent ? "unreachable" : undefined;
  }
}
