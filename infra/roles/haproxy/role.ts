/** The TCP proxies. They are identical, and use no redis server until recovery names the master. */
import { monitorExpirySeconds } from "../../../recovery/decide/rules/one-monitor.ts";
import type { Detection, ProxyMachine, Shard } from "../../../recovery/topology.ts";
import { type Config, fixedPorts } from "../../config.ts";
import { renderFile, roleFile } from "../../template.ts";
import type { CloudConfig } from "../../user-data.ts";
import { faultFile, file, imageConfig, machineConfig } from "../common/common.ts";

const here = import.meta.dirname;

/** The unit's drop-in, which the app machine's image shares. */
export const haproxyUnit = file(
  "/etc/systemd/system/haproxy.service.d/barton.conf",
  roleFile(here, "haproxy.conf"),
);

/**
 * Local ports that haproxy hands out for its connections to servers: above all ports that barton listens on by default, below those that the
 * kernel hands out, and more than `connectionsMax`. The two must not overlap: a port that haproxy has bound in the last minute is none that
 * the kernel gives to anybody, and with many short connections the health checks would find none.
 */
export const sourcePorts = { first: 10_240, last: 32_767 };
/** The kernel's. On app they are for its clients' connections to haproxy. */
export const kernelPorts = { first: 32_768, last: 65_535 };

/** The kernel's settings for many connections, which the app machine's image shares. */
export const networkFile = file(
  "/etc/sysctl.d/60-barton.conf",
  renderFile(here, "network.conf", { firstPort: kernelPorts.first, lastPort: kernelPorts.last }),
);

/** The folder in which keep.lua stores the servers: in /run, so that a machine that boots knows nothing. `inChroot` is its path in haproxy's chroot. */
const kept = { folder: "/run/barton-kept", inChroot: "/kept" };
const keptFiles = [
  file("/usr/lib/tmpfiles.d/barton-kept.conf", `d ${kept.folder} 0700 haproxy haproxy -\n`),
  file(
    "/etc/systemd/system/haproxy.service.d/kept.conf",
    `[Service]\nBindPaths=-${kept.folder}:/var/lib/haproxy${kept.inChroot}\n`,
  ),
];
/** Commands that remove Debian's example, so that a machine without a configuration of its own starts no proxy. */
export const unconfigured = [
  "systemctl stop haproxy.service",
  "rm -f /etc/haproxy/haproxy.cfg",
  "systemctl enable haproxy.service",
];

/** The image: haproxy without a configuration, as in the original. */
export function haproxyImage(): CloudConfig {
  return imageConfig(
    ["haproxy", "socat", "rsync"],
    [haproxyUnit, networkFile, ...keptFiles, faultFile()],
    unconfigured,
  );
}

const keepScript = "/etc/haproxy/keep.lua";

export type ProxyMachineArgs = {
  name: ProxyMachine;
  config: Pick<Config, "domain" | "shardList" | "detection" | "vpcCidr" | "recoverySshPublicKey">;
};

export function haproxyMachine({ name, config }: ProxyMachineArgs): CloudConfig {
  return machineConfig(
    name,
    config,
    [
      file(
        "/etc/haproxy/haproxy.cfg",
        proxyConfig({
          shards: config.shardList,
          detection: config.detection,
          adminSocket: "/run/haproxy/admin.sock",
          runtimeBind: `0.0.0.0:${fixedPorts.runtime}`,
          healthBind: `0.0.0.0:${fixedPorts.health}`,
          proxyBind: "0.0.0.0",
          keepScript,
          keptIn: kept.inChroot,
        }),
      ),
      file(keepScript, roleFile(here, "keep.lua")),
    ],
    // monit, from inside the VPC.
    [`from="${config.vpcCidr}" ${config.recoverySshPublicKey}`],
  );
}

/** haproxy.cfg of a proxy machine. Addresses are parameters so that tests can run it on the loopback. */
export function proxyConfig(args: {
  shards: readonly Pick<Shard, "index" | "proxyPort">[];
  detection: Detection;
  adminSocket: string;
  runtimeBind: string;
  healthBind: string;
  proxyBind: string;
  /** Path of keep.lua, and the folder in which it stores the servers, as the chroot sees it. */
  keepScript: string;
  keptIn: string;
}): string {
  const { shards, detection, ...rest } = args;
  return renderFile(here, "haproxy.cfg", {
    ...rest,
    ...detectionValues(detection),
    ...connectionValues(shards.length),
    firstProxyPort: shards[0]?.proxyPort ?? 0,
    monitorExpirySeconds,
    hearingMs: hearingMs(detection),
    shards: shards.map(({ index, proxyPort }) => ({ index, proxyPort })),
  });
}

/**
 * The time over which a proxy counts requests for its health page, in milliseconds: long enough for several checks of app.
 * haproxy counts none after one to two times that.
 */
function hearingMs({ failures, intervalMs, connectTimeoutMs }: Detection): number {
  return Math.max(2000, failures * (intervalMs + connectTimeoutMs));
}

/** The settings of failure detection, as placeholders of both haproxy.cfg files. */
export function detectionValues(detection: Detection) {
  const { intervalMs, fastIntervalMs, connectTimeoutMs, failures } = detection;
  return { intervalMs, fastIntervalMs, connectTimeoutMs, failures };
}

/**
 * Connections of clients that one proxy, or app, lets in at a time for each shard. With more than ten shards it is less: 200 000 in all,
 * so that file descriptors (two for each) stay below the kernel's limit of a million.
 */
export const connectionsMax = 20_000;
const connectionsOfAllShardsMax = 200_000;

/** What a process needs beyond its clients: health pages, sessions of the runtime API, probes. */
const reservedConnections = 1_000;

/** Limits on connections and local ports, as placeholders of both haproxy.cfg files. */
export function connectionValues(shards: number) {
  const perShard = Math.min(connectionsMax, Math.floor(connectionsOfAllShardsMax / Math.max(shards, 1)));
  return {
    connectionsMax: perShard,
    processConnectionsMax: shards * perShard + reservedConnections,
    sourcePorts: `${sourcePorts.first}-${sourcePorts.last}`,
    // A hundred that somebody forgot, and recovery's own of two monitors.
    runtimeSessionsMax: 110,
    runtimeIdleMs: 10_000,
  };
}
