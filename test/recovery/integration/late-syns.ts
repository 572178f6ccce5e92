/**
 * A slow network for new connections: some SYNs arrive late. This kernel has no netem, so nftables gives them the number of a
 * protocol that nobody speaks, and a small program (late-syns.pl) sends them on after a delay.
 */
import { type ChildProcess, execFileSync, spawn } from "node:child_process";
import { once } from "node:events";
import { join } from "node:path";

/** One of those that are for experiments (RFC 3692). */
const protocol = 253;
const program = join(import.meta.dirname, "late-syns.pl");

export interface LateSyns {
  /** Whose connections are meant: an address. */
  from: string;
  /** The port that they lead to, at whatever address. */
  port: number;
  /** Which share of the SYNs is late, in percent. */
  percent: number;
  delayMs: number;
}

/** Makes SYNs late until the returned function is called. Needs root. */
export async function makeSynsLate({ from, port, percent, delayMs }: LateSyns): Promise<() => void> {
  const table = `barton_late_syns_${process.pid}`;
  const sender = spawn("perl", [program, String(protocol), String(delayMs)], {
    stdio: ["ignore", "pipe", "inherit"],
  });
  const end = () => {
    process.off("exit", end);
    sender.kill();
    nft(`delete table inet ${table}`);
  };
  await untilReady(sender);
  nft(`add table inet ${table}`);
  process.once("exit", end);
  nft(`add chain inet ${table} output { type filter hook output priority 0; }`);
  const isSyn = "tcp flags & (syn|ack) == syn";
  // What is sent on has a lower TTL.
  const where = `ip saddr ${from} tcp dport ${port} ip ttl 64`;
  nft(
    `add rule inet ${table} output ${where} ${isSyn} numgen random mod 100 < ${percent} counter ip protocol set ${protocol}`,
  );
  return end;
}

async function untilReady(sender: ChildProcess): Promise<void> {
  if (sender.stdout) await once(sender.stdout, "data");
}

function nft(command: string): void {
  execFileSync("nft", [command], { stdio: ["ignore", "ignore", "pipe"] });
}
