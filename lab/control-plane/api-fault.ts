/**
 * Faults of the cloud's own APIs: EC2's API and the resource API, for machines and for pulumi's plugins. They do not affect the
 * metadata service and the lab's own commands (status, faults, heal).
 */
import { setTimeout as delay } from "node:timers/promises";
import { ApiError } from "./errors.ts";
import type { ApiFault, Fault } from "./store.ts";

/** How often a request that is held looks whether the fault is healed, in milliseconds. */
const lookMs = 100;

/** What is asked of an API, as far as its faults are concerned. */
export type ApiCall = { method: string; path: string; body: string };

function apiFaults(faults: readonly Fault[], mode: ApiFault["mode"]): ApiFault[] {
  return faults.filter((fault) => fault.kind === "api").filter((fault) => fault.mode === mode);
}

/** How late an answer is, in seconds. Pure. */
export function latenessOf(faults: readonly Fault[]): number {
  return Math.max(0, ...apiFaults(faults, "slow").map((fault) => fault.lateSeconds ?? 0));
}

/** The error that an API with these faults answers, if any; AWS's codes and HTTP statuses. Pure. */
export function refusalOf(faults: readonly Fault[], call: ApiCall): ApiError | undefined {
  if (apiFaults(faults, "failing").length > 0) {
    return new ApiError(
      "RequestLimitExceeded",
      "Request limit exceeded. (A fault of the lab: api failing)",
      503,
    );
  }
  if (apiFaults(faults, "full").length > 0 && startsAnInstance(call)) {
    return new ApiError(
      "InsufficientInstanceCapacity",
      "We currently do not have sufficient capacity in the Availability Zone you requested. (A fault of the lab: api full)",
      500,
    );
  }
  return undefined;
}

/** Launching an instance or starting a stopped one needs capacity; nothing else does. */
export function startsAnInstance({ method, path, body }: ApiCall): boolean {
  const { pathname, searchParams } = new URL(path, "http://lab");
  if (method === "POST" && pathname === "/resources/ec2/instance") return true;
  if (pathname.startsWith("/resources/ec2transitgateway/instanceState")) {
    return /^(POST|PATCH)$/.test(method) && /"state"\s*:\s*"running"/.test(body);
  }
  const action =
    searchParams.get("Action") ?? (pathname === "/" ? new URLSearchParams(body).get("Action") : "");
  return action === "StartInstances" || action === "RunInstances";
}

/**
 * Holds a call as long as its API is slow, and throws what a failing one answers. False when the caller has hung up
 * in the meantime: then nothing may be done for it, or a repeated request would take effect twice.
 */
export async function passApi(
  faults: () => readonly Fault[],
  call: ApiCall,
  left: () => boolean,
): Promise<boolean> {
  const came = performance.now();
  for (;;) {
    const restMs = latenessOf(faults()) * 1000 - (performance.now() - came);
    if (left()) return false;
    if (restMs <= 0) break;
    await delay(Math.min(restMs, lookMs));
  }
  const refusal = refusalOf(faults(), call);
  if (refusal) throw refusal;
  return true;
}
