/**
 * A bare TCP connection attempt, which tells the kinds of silence apart: the kernel of a living machine
 * accepts or refuses for a stalled or dead process; a lost machine does neither.
 */
import { connect } from "node:net";

export type Knock = "open" | "refused" | "silent";

/** Knocks at one port; never rejects. `timeoutMs` bounds the wait. */
export function knock(host: string, port: number, timeoutMs: number): Promise<Knock> {
  return new Promise((resolve) => {
    const socket = connect({ host, port });
    const timer = setTimeout(() => finish("silent"), timeoutMs);
    const finish = (answer: Knock) => {
      clearTimeout(timer);
      // A reset leaves nothing behind in the stalled server's accept queue, and no TIME_WAIT here.
      socket.resetAndDestroy();
      resolve(answer);
    };
    socket.once("connect", () => finish("open"));
    socket.once("error", (error: NodeJS.ErrnoException) => finish(refusedOrSilent(error.code)));
  });
}

/** The best answer of several ports of one machine: any sign of life outweighs silence elsewhere. */
export async function knockAny(host: string, ports: number[], timeoutMs: number): Promise<Knock> {
  const answers = await Promise.all(ports.map((port) => knock(host, port, timeoutMs)));
  if (answers.includes("open")) return "open";
  return answers.includes("refused") ? "refused" : "silent";
}

/**
 * A refusal comes from the machine itself. "No route" comes from a router, or from our own kernel when
 * nobody answers ARP: the machine is as silent as with a timeout.
 */
export function refusedOrSilent(code: string | undefined): "refused" | "silent" {
  return code === "ECONNREFUSED" || code === "ECONNRESET" ? "refused" : "silent";
}
