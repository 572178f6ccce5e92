/** The faults of a rehearsal: what may be broken, how, and whether the machine must be replaced afterwards. */
import {
  type MachineName,
  machineNames,
  type ProxyMachine,
  proxyMachines,
  type RedisMachine,
  type Topology,
} from "../topology.ts";

export const faultKinds = ["crash", "hang", "poweroff", "vanish"] as const;
export type FaultKind = (typeof faultKinds)[number];

export type Fault = { text: string } & (
  | { kind: "poweroff"; machine: MachineName }
  | { kind: "vanish"; machine: RedisMachine | ProxyMachine; seconds: number }
  | { kind: "crash"; machine: RedisMachine | ProxyMachine; unit: string }
  | { kind: "hang"; machine: RedisMachine | ProxyMachine; unit: string; seconds: number }
);

/** The script on redis and proxy machines that does what EC2 cannot (infra/roles/common/fault). */
export const faultScript = "/usr/local/lib/barton/fault";

/** After this time (seconds) a vanished machine is back on the network, if it was not replaced. */
const vanishedSeconds = 900;

/**
 * The fault that a command line means.
 *
 * @param target MACHINE, MACHINE:PORT of a redis server, or MACHINE:haproxy.
 * @param seconds how long a hang lasts.
 * @throws if this cannot be broken; the sentence says why, or what can be broken.
 */
export function faultOf(
  kind: string,
  target: string,
  { shards, detection }: Pick<Topology, "shards" | "detection">,
  seconds: number,
): Fault {
  if (!isKind(kind)) throw new Error(`there is no fault "${kind}"; there are: ${faultKinds.join(", ")}`);
  const [name = "", process, ...more] = target.split(":");
  const machine = machineNames.find((one) => one === name);
  if (!machine || more.length > 0)
    throw new Error(`there is no machine "${name}"; there are: ${machineNames.join(", ")}`);
  const text = `${kind} ${target}`;
  if (machine === "monit")
    throw new Error(
      "a rehearsal runs on monit and would not see its own end: end monit's instance from outside",
    );
  if (kind === "poweroff" || kind === "vanish") {
    if (process !== undefined)
      throw new Error(`${kind} is of a whole machine: "barton rehearse ${kind} ${name}"`);
    if (kind === "poweroff") return { text, kind, machine };
  }
  if (machine === "app")
    throw new Error(
      `of app only the power can be cut: monit may not log in there, so it has no way to make a ${kind}`,
    );
  if (kind === "vanish") return { text, kind, machine, seconds: vanishedSeconds };
  const unit = unitOf(machine, process, shards);
  if (kind === "crash") return { text, kind, machine, unit };
  if (seconds * 1000 > detection.stallMs) return { text, kind, machine, unit, seconds };
  throw new Error(
    `a hang of ${seconds} s is within recovery's patience (${detection.stallMs / 1000} s): it would rightly do nothing`,
  );
}

/** True if the machine must be replaced in the end. After `crash` and `hang` the process may come back by itself. */
export const isReplacing = ({ kind }: Fault) => kind === "poweroff" || kind === "vanish";

function unitOf(
  machine: RedisMachine | ProxyMachine,
  process: string | undefined,
  shards: Topology["shards"],
): string {
  if (proxyMachines.some((proxy) => proxy === machine)) {
    if (process === undefined || process === "haproxy") return "haproxy.service";
    throw new Error(`${machine} has no process "${process}"; it has: ${machine}:haproxy`);
  }
  const ports = shards.map(({ redisPort }) => String(redisPort));
  if (process !== undefined && ports.includes(process)) return `redis-server@${process}.service`;
  const choice = ports.map((port) => `${machine}:${port}`).join(", ");
  throw new Error(`which process of ${machine}? It has: ${choice}`);
}

const isKind = (kind: string): kind is FaultKind => faultKinds.some((one) => one === kind);

/** The command by which the machine breaks itself; undefined for a fault that EC2 makes. */
export function commandOf(fault: Fault): string | undefined {
  if (fault.kind === "poweroff") return undefined;
  const words =
    fault.kind === "vanish" ? [fault.seconds] : [fault.unit, ...("seconds" in fault ? [fault.seconds] : [])];
  return [faultScript, fault.kind, ...words].join(" ");
}
