/** A lab without a stack, for tests: its control plane, and shortcuts to make and ask things. */
import { randomBytes } from "node:crypto";
import { existsSync, readdirSync } from "node:fs";
import { dirname, join } from "node:path";
import { setTimeout as delay } from "node:timers/promises";
import { execa } from "execa";
import { ask } from "../../lab/client.ts";
import { startControlPlane } from "../../lab/control.ts";
import { processNow } from "../../lab/control-plane/processes.ts";
import type { LabView } from "../../lab/control-plane/server.ts";
import { removeLab } from "../../lab/down.ts";
import { execCommand } from "../../lab/exec.ts";
import { baseAmi } from "../../lab/image/base.ts";
import { type Lab, labNamed, runInsideNetwork } from "../../lab/lab.ts";
import { runningMachine } from "../../lab/machines.ts";

const root = join(import.meta.dirname, "../..");
const quiet = () => {};

export type Made = { id: string; state: Record<string, unknown> };
export type MachineOptions = {
  subnet?: "a" | "b";
  group?: string;
  ami?: string;
  profile?: string;
  userData?: string;
  diskGiB?: number;
};

/** Waits until `look` gives something; says what was waited for when it does not come in time. */
export async function until<T>(
  what: string,
  deadlineMs: number,
  look: () => Promise<T | undefined | false>,
): Promise<T> {
  const deadline = performance.now() + deadlineMs;
  for (;;) {
    const seen = await look();
    if (seen !== undefined && seen !== false) return seen;
    if (performance.now() > deadline) throw new Error(`not seen within ${deadlineMs} ms: ${what}`);
    await delay(50);
  }
}

/** For one command in a machine: the longest installs packages. Shorter than a test may take, so that the reason is told. */
const commandSeconds = 90;

/** The pid of its test run is in such a lab's name. */
const labNamePattern = /^(?:t-(\d+)-[0-9a-f]{4}|faults-(\d+))$/;

async function removeAbandoned(): Promise<void> {
  const folder = dirname(labNamed("local").dir);
  for (const name of existsSync(folder) ? readdirSync(folder) : []) {
    const [, pidOfLab, pidOfFaults] = labNamePattern.exec(name) ?? [];
    const pid = Number(pidOfLab ?? pidOfFaults ?? process.pid);
    if (pid !== process.pid && processNow(pid) === undefined) await removeLab(labNamed(name), quiet);
  }
}

export class CloudLab {
  readonly lab: Lab;
  ids = { vpc: "", a: "", b: "", group: "", profile: "" };

  constructor(name = `t-${process.pid}-${randomBytes(2).toString("hex")}`) {
    this.lab = labNamed(name);
  }

  /** Starts the control plane; labs of test runs that were broken off are removed first. */
  async start(): Promise<void> {
    await removeAbandoned();
    await startControlPlane(this.lab, quiet);
  }

  async remove(): Promise<void> {
    await removeLab(this.lab, quiet);
  }

  create(type: string, inputs: Record<string, unknown>): Promise<Made> {
    return ask(this.lab, "POST", `/resources/${type}`, { inputs });
  }

  read(type: string, id: string): Promise<Made> {
    return ask(this.lab, "GET", `/resources/${type}/${encodeURIComponent(id)}`);
  }

  update(type: string, id: string, inputs: Record<string, unknown>): Promise<Made> {
    return ask(this.lab, "PATCH", `/resources/${type}/${encodeURIComponent(id)}`, { inputs });
  }

  delete(type: string, id: string): Promise<void> {
    return ask(this.lab, "DELETE", `/resources/${type}/${encodeURIComponent(id)}`);
  }

  view(): Promise<LabView> {
    return ask(this.lab, "GET", "/lab");
  }

  fault(kind: string, target: string, more: object = {}): Promise<unknown> {
    return ask(this.lab, "POST", "/lab/faults", { kind, target, ...more });
  }

  heal(target?: string, peer?: string): Promise<unknown> {
    return ask(this.lab, "POST", "/lab/heal", { target, peer });
  }

  /** A VPC with two subnets in two zones, and a group that lets nothing in and everything out. */
  async network(): Promise<void> {
    const { ids } = this;
    ids.vpc = (await this.create("ec2/vpc", { cidrBlock: "10.77.0.0/16" })).id;
    const subnet = async (cidrBlock: string, availabilityZone: string) =>
      (await this.create("ec2/subnet", { vpcId: ids.vpc, cidrBlock, availabilityZone })).id;
    ids.a = await subnet("10.77.1.0/24", "eu-central-1a");
    ids.b = await subnet("10.77.2.0/24", "eu-central-1b");
    ids.group = await this.group("usual");
    const { id: role } = await this.create("iam/role", { name: "monit", assumeRolePolicy: "{}" });
    ids.profile = (await this.create("iam/instanceProfile", { name: "monit", role })).id;
  }

  async group(name: string): Promise<string> {
    const { id } = await this.create("ec2/securityGroup", { vpcId: this.ids.vpc, name });
    await this.create("vpc/securityGroupEgressRule", {
      securityGroupId: id,
      ipProtocol: "-1",
      cidrIpv4: "0.0.0.0/0",
    });
    return id;
  }

  /** Lets `protocol` `port` into a group; gives the rule's id. */
  async allow(
    group: string,
    port: number,
    from: { cidrIpv4?: string; referencedSecurityGroupId?: string },
  ): Promise<string> {
    const inputs = { securityGroupId: group, ipProtocol: "tcp", fromPort: port, toPort: port, ...from };
    return (await this.create("vpc/securityGroupIngressRule", inputs)).id;
  }

  machine(name: string, options: MachineOptions = {}): Promise<Made> {
    return this.create("ec2/instance", {
      ami: options.ami ?? baseAmi,
      instanceType: "t3.micro",
      subnetId: this.ids[options.subnet ?? "a"],
      vpcSecurityGroupIds: [options.group ?? this.ids.group],
      ...(options.diskGiB ? { rootBlockDevice: { volumeSize: options.diskGiB } } : {}),
      ...(options.profile ? { iamInstanceProfile: options.profile } : {}),
      userData:
        options.userData ??
        `#cloud-config\nhostname: ${name}.barton\nprefer_fqdn_over_hostname: true\nfqdn: ${name}.barton\n`,
      tags: { "barton:machine": name },
    });
  }

  /**
   * Runs a command as root in a machine; gives exit status and output, never throws for a failing command.
   *
   * @throws when it does not end, telling what the machine is doing.
   */
  async run(machine: string, ...command: string[]): Promise<{ status: number; out: string }> {
    const beganMs = performance.now();
    const ran = await this.#run(machine, commandSeconds, command);
    if (performance.now() - beganMs < commandSeconds * 1000) return ran;
    const asked = [
      ["systemctl", "list-jobs"],
      ["ps", "axf"],
    ].map((each) => this.#run(machine, 5, each));
    const seen = (await Promise.all(asked)).map(({ out }) => out).join("\n");
    throw new Error(`${command.join(" ")} on ${machine} did not end within ${commandSeconds} s:\n${seen}`);
  }

  /** The same; a machine that is down has nothing to say. */
  async runIfUp(machine: string, ...command: string[]): Promise<{ status: number; out: string }> {
    try {
      runningMachine(this.lab, machine);
    } catch {
      return { status: -1, out: "" };
    }
    return this.run(machine, ...command);
  }

  async #run(machine: string, seconds: number, command: string[]): Promise<{ status: number; out: string }> {
    const { leader } = runningMachine(this.lab, machine);
    // Ended from inside: nsenter hands on no signals.
    const limited = ["timeout", "--signal=KILL", String(seconds), ...command];
    const [file = "", ...args] = execCommand(leader, limited, false);
    const { exitCode, all } = await execa(file, args, { reject: false, stdin: "ignore", all: true });
    return { status: exitCode ?? -1, out: all };
  }

  /** What a command prints; throws when it fails. */
  async ask(machine: string, ...command: string[]): Promise<string> {
    const { status, out } = await this.run(machine, ...command);
    if (status !== 0) throw new Error(`${command.join(" ")} on ${machine}: exit status ${status}: ${out}`);
    return out;
  }

  /** cloud-init has done its work, and sshd listens. */
  async booted(machine: string): Promise<void> {
    await until(`${machine} boots`, 30_000, async () => {
      const { out } = await this.runIfUp(machine, "cloud-init", "status");
      return out.includes("status: done") || out.includes("status: error");
    });
    await until(`sshd on ${machine}`, 10_000, async () => {
      const { status } = await this.run(machine, "systemctl", "is-active", "ssh.service");
      return status === 0;
    });
  }

  /** "open", "refused", or "silent" after a second: a TCP connection from a machine. */
  async connect(from: string, address: string, port: number): Promise<string> {
    const { status, out } = await this.run(
      from,
      "timeout",
      "1",
      "bash",
      "-c",
      `</dev/tcp/${address}/${port}`,
    );
    if (status === 0) return "open";
    if (status === 124) return "silent";
    return out.includes("refused") ? "refused" : out;
  }

  /** Listens on a port of a machine; whatever comes is echoed. Ends with the machine. */
  async listen(machine: string, port: number): Promise<void> {
    const server = `
import socketserver
class Echo(socketserver.StreamRequestHandler):
    def handle(self):
        for line in self.rfile: self.wfile.write(line)
socketserver.ThreadingTCPServer.allow_reuse_address = True
socketserver.ThreadingTCPServer(("0.0.0.0", ${port}), Echo).serve_forever()`;
    await this.ask(machine, "systemd-run", "--quiet", `--unit=echo-${port}`, "python3", "-c", server);
    await until(`port ${port} of ${machine}`, 10_000, async () => {
      const out = await this.ask(machine, "ss", "--listening", "--tcp", "--numeric");
      return out.includes(`:${port} `);
    });
  }

  /** The command line, as a person uses it. */
  async cli(...args: string[]) {
    const [verb = "", ...rest] = args;
    const result = await execa(join(root, "scripts/lab"), [verb, "--name", this.lab.name, ...rest], {
      reject: false,
      stdin: "ignore",
    });
    return { status: result.exitCode ?? -1, out: result.stdout, err: result.stderr };
  }

  /** A command on the host, inside the lab's network. */
  async host(...command: string[]) {
    const result = await runInsideNetwork(this.lab, command, { reject: false, stdin: "ignore" });
    return { status: result.exitCode ?? -1, out: String(result.stdout) };
  }
}
