/** Renews this monitor's entry in the proxies' tables, so that another monitor knows of it (decide/rules/one-monitor.ts). */
import type { Clock } from "../clock.ts";
import { isIntroduced, whySteppedBack } from "../decide/rules/one-monitor.ts";
import type { Board } from "../observe/board.ts";
import type { Facts } from "../observe/facts.ts";
import { proxyMachines } from "../topology.ts";
import type { MonitorId } from "./monitor-id.ts";

/** Between two renewals; an entry lives longer than a few (monitorExpirySeconds). */
const renewalMs = 1_000;
/** While it is not known yet, it is in a hurry: nothing is done before. */
const introductionMs = 100;
/** A proxy that takes no entry, or is not there, must not keep recovery from acting for longer than this. */
const introductionMaxMs = 2_000;
const tellMs = 500;
/**
 * For so long after the last sight of a younger monitor this one does nothing. A proxy that restarts has an empty table until the
 * next renewal: an older monitor that acted meanwhile could use a server again that the younger one has just fenced.
 */
const steppedBackMs = 3 * renewalMs;

export interface PresenceOptions {
  board: Board;
  clock: Clock;
  self: MonitorId | undefined;
}

export class Presence {
  readonly #options: PresenceOptions;
  #isKnown: boolean;
  /** When another monitor was last seen that this one leaves the acting to. */
  #otherSeenMs = Number.NEGATIVE_INFINITY;

  constructor(options: PresenceOptions) {
    this.#options = options;
    this.#isKnown = options.self === undefined;
  }

  /** May this monitor act: has it made itself known, as far as that goes, and has it seen no younger one for a while? */
  get mayAct(): boolean {
    return this.#isKnown && this.#options.clock.now() - this.#otherSeenMs > steppedBackMs;
  }

  /** Takes in what a cycle knows. */
  note(facts: Facts): void {
    if (whySteppedBack(facts) !== undefined) this.#otherSeenMs = this.#options.clock.now();
  }

  /** Leaves and renews the entries until `signal` aborts. One that has stepped back leaves none. */
  async run(signal: AbortSignal): Promise<void> {
    const { board, clock, self } = this.#options;
    if (self === undefined) return;
    const startedMs = clock.now();
    while (!signal.aborted) {
      const facts = board.facts();
      const answering = proxyMachines.filter((proxy) => facts.proxies[proxy].look.state === "up");
      const hasLooked = proxyMachines.every((proxy) => facts.proxies[proxy].look.state !== "none");
      const isLate = clock.now() - startedMs > introductionMaxMs;
      this.#isKnown ||= (hasLooked && isIntroduced(facts)) || isLate;
      if (whySteppedBack(facts) === undefined) {
        // One that does not take it is not waited for by the other, and is told again soon.
        const told = answering.map((proxy) =>
          board
            .proxy(proxy)
            ?.introduce(self, tellMs)
            .catch(() => {}),
        );
        await Promise.all(told);
      }
      await clock.sleep(this.#isKnown ? renewalMs : introductionMs, signal);
    }
  }
}
