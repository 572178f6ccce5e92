/** Finds the processes of a machine that a fault targets. */
import { readdirSync, readFileSync, readlinkSync } from "node:fs";
import type { Lab } from "../lab.ts";
import { cgroupPids } from "./cgroups.ts";
import { leaderOf, machineFiles } from "./machine.ts";
import { commandName, type ProcessId, processNow, statusField } from "./processes.ts";

/** `haproxy`, or the port that a redis-server listens on. */
export type Service = "haproxy" | number;

/** Reads `haproxy` or a port number; undefined for anything else. */
export function parseService(text: string): Service | undefined {
  if (text === "haproxy") return "haproxy";
  const port = /^\d{1,5}$/.test(text) ? Number(text) : 0;
  return port >= 1 && port <= 65_535 ? port : undefined;
}

/** All haproxy processes of the machine, or the redis-server on the port (without its forked children). */
export function processesOf(lab: Lab, instanceId: string, service: Service): ProcessId[] {
  const pids = cgroupPids(machineFiles(lab, instanceId).cgroup);
  const found =
    service === "haproxy"
      ? pids.filter((pid) => commandName(pid) === "haproxy")
      : redisOn(lab, instanceId, pids, service);
  return found.flatMap((pid) => processNow(pid) ?? []);
}

function redisOn(lab: Lab, instanceId: string, pids: number[], port: number): number[] {
  const leader = leaderOf(lab, instanceId);
  if (leader === undefined) return [];
  const sockets = new Set(
    ["tcp", "tcp6"].flatMap((table) => listeningInodes(readTable(`/proc/${leader.pid}/net/${table}`), port)),
  );
  const holders = pids.filter(
    (pid) => /^(redis|valkey)-server/.test(commandName(pid) ?? "") && holdsSocket(pid, sockets),
  );
  // A child that saves the dataset has its parent's sockets too.
  return holders.filter((pid) => !holders.includes(Number(statusField(pid, "PPid"))));
}

/** Inodes of the sockets that listen on `port`, from the text of /proc/net/tcp. */
export function listeningInodes(table: string, port: number): string[] {
  const hexPort = port.toString(16).toUpperCase().padStart(4, "0");
  return table
    .split("\n")
    .slice(1)
    .map((line) => line.trim().split(/\s+/))
    .filter(([, local, , state]) => local?.endsWith(`:${hexPort}`) && state === "0A")
    .flatMap((fields) => fields[9] ?? []);
}

function readTable(path: string): string {
  try {
    return readFileSync(path, "utf8");
  } catch {
    return "";
  }
}

function holdsSocket(pid: number, inodes: ReadonlySet<string>): boolean {
  try {
    return readdirSync(`/proc/${pid}/fd`).some((fd) => {
      const inode = /^socket:\[(\d+)\]$/.exec(linkOf(`/proc/${pid}/fd/${fd}`))?.[1];
      return inode !== undefined && inodes.has(inode);
    });
  } catch {
    return false; // ended in the meantime
  }
}

function linkOf(path: string): string {
  try {
    return readlinkSync(path);
  } catch {
    return "";
  }
}
