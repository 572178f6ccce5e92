/**
 * A bare TCP connection attempt. It tells the kinds of silence apart: the kernel of a living machine accepts for a stalled
 * process and refuses for a dead one. A lost machine does neither.
 */
import { connect } from "node:net";

export type Knock = "open" | "refused" | "silent";

/** Tries to connect to one port, for at most `timeoutMs`. Never rejects. */
export function knock(host: string, port: number, timeoutMs: number): Promise<Knock> {
  return new Promise((resolve) => {
    const socket = connect({ host, port });
    const timer = setTimeout(() => finish("silent"), timeoutMs);
    const finish = (answer: Knock) => {
      clearTimeout(timer);
      // A reset leaves nothing in the accept queue of a stalled server, and no TIME_WAIT here.
      socket.resetAndDestroy();
      resolve(answer);
    };
    socket.once("connect", () => finish("open"));
    socket.once("error", (error: NodeJS.ErrnoException) => finish(refusedOrSilent(error.code)));
  });
}

/** The best answer of several ports of one machine. Any sign of life counts more than silence elsewhere. */
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

/**
 * The first line that a server says without being asked, within `timeoutMs`; undefined when it says nothing, or cannot be
 * reached. Never rejects.
 */
export function unaskedWord(host: string, port: number, timeoutMs: number): Promise<string | undefined> {
  return new Promise((resolve) => {
    const socket = connect({ host, port });
    const timer = setTimeout(() => finish(undefined), timeoutMs);
    const finish = (word: string | undefined) => {
      clearTimeout(timer);
      socket.resetAndDestroy();
      resolve(word);
    };
    socket.setEncoding("utf8");
    socket.once("data", (text: string) => finish(text.split("\r\n")[0]));
    socket.once("error", () => finish(undefined));
    socket.once("close", () => finish(undefined));
  });
}
