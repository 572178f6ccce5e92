/** The client side of the running monitor's socket. */
import { request } from "node:http";
import { createInterface } from "node:readline";
import type { FailoverResult } from "../orders/failover.ts";

/** No monitor listens at the socket. */
export class NoMonitor extends Error {
  override name = "NoMonitor";
}

/**
 * Gets one of the monitor's views.
 *
 * @throws NoMonitor when none runs (or not yet); another error when it does not answer within `timeoutMs`.
 */
export function getView<T>(socketPath: string, view: "status" | "plan", timeoutMs: number): Promise<T> {
  return new Promise((resolve, reject) => {
    const sent = request({ socketPath, path: `/${view}`, timeout: timeoutMs }, (response) => {
      let text = "";
      response.setEncoding("utf8").on("data", (part: string) => {
        text += part;
      });
      response.on("end", () => {
        if (response.statusCode === 200) resolve(JSON.parse(text) as T);
        else reject(new NoMonitor("the monitor starts or stops just now and has no view"));
      });
      response.on("error", (error) => reject(asNoMonitor(error)));
    });
    sent.on("timeout", () => sent.destroy(new Error(`the monitor did not answer within ${timeoutMs} ms`)));
    sent.on("error", (error) => reject(asNoMonitor(error)));
    sent.end();
  });
}

/** Sends the monitor a command that it carries out at once. For errors see `getView`. @returns its answer, one sentence. */
export function tellMonitor(socketPath: string, path: string, timeoutMs: number): Promise<string> {
  return new Promise((resolve, reject) => {
    const sent = request({ socketPath, path, method: "POST", timeout: timeoutMs }, (response) => {
      let text = "";
      response.setEncoding("utf8").on("data", (part: string) => {
        text += part;
      });
      response.on("end", () => {
        const { ok, message } = JSON.parse(text || "{}") as Partial<FailoverResult>;
        if (ok) resolve(message ?? "");
        else reject(new Error(message ?? `the monitor does not know ${path}: is it of another version?`));
      });
      response.on("error", (error) => reject(asNoMonitor(error)));
    });
    sent.on("timeout", () => sent.destroy(new Error(`the monitor did not answer within ${timeoutMs} ms`)));
    sent.on("error", (error) => reject(asNoMonitor(error)));
    sent.end();
  });
}

/**
 * Sends the monitor an order that takes time, and calls `say` with every line of progress. For errors see `getView`.
 *
 * @param why reason for the order; only `rollReason` has a meaning.
 */
export function order(
  socketPath: string,
  what: "failover" | "failover-if-failed" | "switchover",
  target: string,
  say: (line: string) => void,
  why?: string,
): Promise<FailoverResult> {
  return new Promise((resolve, reject) => {
    const path = `/${[what, target, ...(why ? [why] : [])].map(encodeURIComponent).join("/")}`;
    let result: FailoverResult = {
      ok: false,
      interrupted: true,
      message: `the monitor ended before the ${what} was done; see "barton status" when it is back`,
    };
    const sent = request({ socketPath, path, method: "POST" }, (response) => {
      const lines = createInterface({ input: response });
      lines.on("line", (line) => {
        const event = JSON.parse(line) as { line?: string } & Partial<FailoverResult>;
        if (event.line !== undefined) say(event.line);
        else if (event.message !== undefined) result = resultIn(event);
      });
      lines.on("close", () => resolve(result));
      // The line reader passes the errors of the response on.
      lines.on("error", () => lines.close());
    });
    // If the monitor ended at this moment, nobody knows whether it had accepted the order.
    const isCutOff = ({ code }: NodeJS.ErrnoException) => code === "ECONNRESET" || code === "EPIPE";
    sent.on("error", (error) => (isCutOff(error) ? resolve(result) : reject(asNoMonitor(error))));
    sent.end();
  });
}

function resultIn({ ok, message = "", interrupted, notFailed }: Partial<FailoverResult>): FailoverResult {
  return {
    ok: ok === true,
    message,
    ...(interrupted ? { interrupted } : {}),
    ...(notFailed ? { notFailed } : {}),
  };
}

function asNoMonitor(error: NodeJS.ErrnoException): Error {
  const isAbsent = error.code === "ENOENT" || error.code === "ECONNREFUSED";
  return isAbsent
    ? new NoMonitor('the monitor does not run: "systemctl start barton-monitor"', { cause: error })
    : error;
}

/** Orders the failover of a machine; with `ifFailed` only if recovery takes it for failed as well. See `order`. */
export function orderFailover(
  socketPath: string,
  machine: string,
  say: (line: string) => void,
  ifFailed = false,
): Promise<FailoverResult> {
  return order(socketPath, ifFailed ? "failover-if-failed" : "failover", machine, say);
}
