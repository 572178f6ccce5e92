/**
 * Looking into machines through their own unix sockets, by way of /proc/PID/root: it needs no network, no process in the
 * machine, and works while the machine is cut off.
 */
import { connect } from "node:net";
import { type Lab, LabError } from "../../../lab/lab.ts";
import { runningMachine } from "../../../lab/machines.ts";

/** Where haproxy listens for its administrator, on the proxies and on app. */
export const adminSocket = "/run/haproxy/admin.sock";

/** A path inside a running machine, as the host sees it; undefined while the machine is not on. */
export function pathInside(lab: Lab, machine: string, path: string): string | undefined {
  try {
    return `/proc/${runningMachine(lab, machine).leader}/root${path}`;
  } catch (error) {
    if (error instanceof LabError) return undefined;
    throw error;
  }
}

/** What haproxy answers to one command; undefined when nobody answers in time. */
export function askHaproxy(
  socketPath: string,
  command: string,
  timeoutMs: number,
): Promise<string | undefined> {
  return new Promise((resolve) => {
    let text = "";
    const socket = connect({ path: socketPath });
    const give = (answer: string | undefined) => {
      clearTimeout(timer);
      socket.destroy();
      resolve(answer);
    };
    const timer = setTimeout(() => give(undefined), timeoutMs);
    socket.setEncoding("utf8");
    socket.on("data", (part: string) => {
      text += part;
    });
    socket.on("end", () => give(text));
    socket.on("error", () => give(undefined));
    socket.write(`${command}\n`);
  });
}
