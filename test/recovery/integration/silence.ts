/**
 * Makes an address of the test world silent, as a machine whose link is cut: packets disappear, nobody
 * answers, nothing is reset. By nftables in a table of this process's own.
 */
import { execFileSync } from "node:child_process";

const table = `barton_recovery_test_${process.pid}`;

/** Can this test run cut links? */
export const canSilence = tryNft();

function tryNft(): boolean {
  try {
    nft(`add table inet ${table}`);
    nft(`delete table inet ${table}`);
    return true;
  } catch {
    return false;
  }
}

/** All packets from and to these addresses disappear, until `restoreAll`. */
export function silence(...addresses: string[]): void {
  addTable();
  for (const address of addresses) {
    nft(`add rule inet ${table} input ip daddr ${address} drop`);
    nft(`add rule inet ${table} input ip saddr ${address} drop`);
  }
}

/** Packets between these two addresses disappear, until `restoreAll`. */
export function silenceBetween(one: string, other: string): void {
  addTable();
  nft(`add rule inet ${table} input ip saddr ${one} ip daddr ${other} drop`);
  nft(`add rule inet ${table} input ip saddr ${other} ip daddr ${one} drop`);
}

function addTable(): void {
  nft(`add table inet ${table}`);
  nft(`add chain inet ${table} input { type filter hook input priority 0; }`);
}

/** The same for monit alone, which is this process: those of the machines have a group of their own (see machines.ts). */
export function silenceForMonit(...addresses: string[]): void {
  nft(`add table inet ${table}`);
  nft(`add chain inet ${table} output { type filter hook output priority 0; }`);
  for (const address of addresses)
    nft(`add rule inet ${table} output ip daddr ${address} meta skgid ${process.getgid?.()} drop`);
}

export function restoreAll(): void {
  try {
    nft(`delete table inet ${table}`);
  } catch {
    // There is nothing to restore.
  }
}

function nft(command: string): void {
  execFileSync("nft", command.split(" "), { stdio: ["ignore", "ignore", "pipe"] });
}
