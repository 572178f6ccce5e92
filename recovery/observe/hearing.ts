/**
 * The addresses that have asked for a proxy's health page (the table `clients` in haproxy.cfg). app's own haproxy asks
 * several times a second. So each proxy can tell whether app lives, also when monit cannot see app.
 */

/** The runtime command that lists the table. */
export const showClients = "show table clients";

/** By address, true if it has asked lately. Undefined for a proxy without the table (an older program made it). */
export function parseClients(text: string): Record<string, boolean> | undefined {
  if (!text.includes("# table: clients")) return undefined;
  const entries = text.matchAll(/^\S+ key=(\S+) .*http_req_rate\(\d+\)=(\d+)/gm);
  return Object.fromEntries(
    [...entries].map(([, address = "", requests]) => [address, Number(requests) > 0]),
  );
}

/** A process that takes longer to answer (milliseconds) stood still, and has heard nobody meanwhile. */
const answerMsMax = 1_000;

/** Since when one process has been answering. The table of a new process is empty; that of a process that stood still is out of date. */
export class InTouchSince {
  readonly #nowMs: () => number;
  #connection: number | undefined;
  #sinceMs = 0;

  constructor(nowMs: () => number) {
    this.#nowMs = nowMs;
  }

  /**
   * Takes in an answer over connection number `connection` to a question asked at `askedMs` (monotonic milliseconds).
   *
   * @returns since when this process has been answering without a break.
   */
  answered(connection: number, askedMs: number): number {
    const nowMs = this.#nowMs();
    const isBreak = connection !== this.#connection || nowMs - askedMs > answerMsMax;
    if (isBreak) this.#sinceMs = nowMs;
    this.#connection = connection;
    return this.#sinceMs;
  }
}
