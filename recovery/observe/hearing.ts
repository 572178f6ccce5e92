/**
 * Whom a proxy hears: the addresses that have asked for its health page (the table `clients` in haproxy.cfg). App's own proxy
 * asks several times a second, so each proxy can tell whether app lives, also when monit cannot see it.
 */

/** The command that lists them. */
export const showClients = "show table clients";

/** By address, has it asked lately? Undefined from a proxy without the table, as an older program has made it. */
export function parseClients(text: string): Record<string, boolean> | undefined {
  if (!text.includes("# table: clients")) return undefined;
  const entries = text.matchAll(/^\S+ key=(\S+) .*http_req_rate\(\d+\)=(\d+)/gm);
  return Object.fromEntries(
    [...entries].map(([, address = "", requests]) => [address, Number(requests) > 0]),
  );
}

/** A process that took longer to answer stood still, and has heard nobody meanwhile. */
const answerMsMax = 1_000;

/** Since when one process has been answering. A new one's table is empty, and that of one that stood still is out of date. */
export class InTouchSince {
  readonly #nowMs: () => number;
  #connection: number | undefined;
  #sinceMs = 0;

  constructor(nowMs: () => number) {
    this.#nowMs = nowMs;
  }

  /** Takes in an answer over this connection to a question of then; monotonic milliseconds since when it answers. */
  answered(connection: number, askedMs: number): number {
    const nowMs = this.#nowMs();
    const isBreak = connection !== this.#connection || nowMs - askedMs > answerMsMax;
    if (isBreak) this.#sinceMs = nowMs;
    this.#connection = connection;
    return this.#sinceMs;
  }
}
