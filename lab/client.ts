/** Client of a lab's control plane, over its unix socket. */
import { request } from "node:http";
import { type Lab, LabError } from "./lab.ts";

/** The control plane answered with an error, in AWS's form. */
export class ControlPlaneError extends LabError {
  readonly code: string;
  constructor(code: string, message: string) {
    super(message);
    this.name = "ControlPlaneError";
    this.code = code;
  }
}

/**
 * Asks the control plane, e.g. `ask(lab, "GET", "/lab")`; gives its JSON (undefined for an empty answer). Throws a
 * {@link ControlPlaneError} when it says no, and a {@link LabError} when nobody answers.
 */
export async function ask<T>(lab: Lab, method: string, path: string, body?: object): Promise<T> {
  const text = body === undefined ? "" : JSON.stringify(body);
  const { status, answer } = await exchange(lab, method, path, text).catch((error: NodeJS.ErrnoException) => {
    if (error.code === "ENOENT" || error.code === "ECONNREFUSED") throw new LabError(nobodyThere(lab));
    throw new LabError(
      `The control plane of lab ${lab.name} did not answer ${method} ${path}: ${error.message}`,
    );
  });
  const json: unknown = answer === "" ? undefined : JSON.parse(answer);
  if (status < 300) return json as T;
  const { code = `HTTP ${status}`, message = answer } = (json ?? {}) as { code?: string; message?: string };
  throw new ControlPlaneError(code, message);
}

function nobodyThere(lab: Lab): string {
  return `Lab ${lab.name} has no running control plane: \`scripts/lab up --name ${lab.name}\` starts it.`;
}

function exchange(
  lab: Lab,
  method: string,
  path: string,
  text: string,
): Promise<{ status: number; answer: string }> {
  return new Promise((resolve, reject) => {
    const headers = { "content-type": "application/json", "content-length": Buffer.byteLength(text) };
    const asked = request({ socketPath: lab.socket, method, path, headers, agent: false }, (response) => {
      const chunks: Buffer[] = [];
      response.on("data", (chunk: Buffer) => chunks.push(chunk));
      response.on("error", reject);
      response.on("end", () =>
        resolve({ status: response.statusCode ?? 0, answer: Buffer.concat(chunks).toString() }),
      );
    });
    asked.on("error", reject);
    asked.end(text);
  });
}

/** Whether a control plane answers. */
export async function answers(lab: Lab): Promise<boolean> {
  return ask(lab, "GET", "/lab").then(
    () => true,
    () => false,
  );
}
