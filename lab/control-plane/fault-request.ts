/** The request for a fault. It is checked completely before anything is touched. Pure. */
import { z } from "zod";
import { ApiError } from "./errors.ts";
import { apiFaultModes } from "./store.ts";

/** A day: whoever wants a fault to last longer heals it by hand. */
const secondsMax = 86_400;
const seconds = z.number().positive().max(secondsMax);
const machine = z.string().min(1);
/** MACHINE:PORT for the redis on that port, or MACHINE:haproxy. */
const process = z.string().min(1);

const requestSchema = z.discriminatedUnion("kind", [
  z.object({ kind: z.enum(["crash", "hang"]), target: process }),
  z.object({ kind: z.literal("pause"), target: process, seconds }),
  z.object({ kind: z.enum(["poweroff", "poweron", "vanish", "disk-full"]), target: machine }),
  z.object({ kind: z.literal("partition"), target: machine, peer: machine, oneWay: z.boolean().optional() }),
  z.object({ kind: z.literal("lossy"), target: machine, percent: z.int().min(1).max(100) }),
  z.object({
    kind: z.literal("api"),
    target: z.enum(apiFaultModes),
    lateSeconds: seconds.optional(),
    seconds: seconds.optional(),
  }),
  z.object({ kind: z.literal("dns") }),
  /** `target`: the machine whose pulumi died, so to say. */
  z.object({ kind: z.literal("stale-lock"), target: machine.optional() }),
]);
export type FaultRequest = z.infer<typeof requestSchema>;
export type FaultKind = FaultRequest["kind"];

const kinds = requestSchema.options.flatMap(({ shape: { kind } }): string[] =>
  "options" in kind ? kind.options : [...kind.values],
);

/** Reads a request of `POST /lab/faults`; throws an {@link ApiError} that says what is wrong with it. */
export function faultRequest(json: unknown): FaultRequest {
  const { kind } = (json ?? {}) as { kind?: unknown };
  if (kind === "clock") throw noClock();
  if (!kinds.some((each) => each === kind)) {
    throw new ApiError(
      "InvalidFault",
      `there is no fault ${JSON.stringify(kind)}; there are: ${kinds.join(", ")}`,
    );
  }
  const parsed = requestSchema.safeParse(json);
  if (parsed.success) return parsed.data;
  const why = parsed.error.issues.map(({ path, message }) => `${path.join(".") || "it"}: ${message}`);
  throw new ApiError("InvalidParameter", `the fault ${kind} cannot be made so: ${why.join("; ")}`);
}

/** The kernel has one wall clock for all: time namespaces cover the monotonic and the boot clock alone. */
function noClock(): ApiError {
  return new ApiError(
    "Unsupported",
    "the wall clock of one machine cannot be changed in the lab: machines share the host's kernel, which has a single " +
      "CLOCK_REALTIME (time namespaces do not cover it), and setting it would move the host and every lab with it",
  );
}
