/** Asking the running monitor through its socket. */
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

/** Tells the monitor something that it does at once; see `getView` for errors. @returns its answer in words. */
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
 * Asks the monitor to do something, perhaps with a reason (see `rollReason`), and passes every line of progress on; see
 * `getView` for errors.
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
      // It passes the response's errors on.
      lines.on("error", () => lines.close());
    });
    // Whether a monitor that ended at this moment had taken the order nobody knows.
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

/** Asks the monitor for the failover of a machine, perhaps only if recovery too takes it for failed; see `order`. */
export function orderFailover(
  socketPath: string,
  machine: string,
  say: (line: string) => void,
  ifFailed = false,
): Promise<FailoverResult> {
  return order(socketPath, ifFailed ? "failover-if-failed" : "failover", machine, say);
}
