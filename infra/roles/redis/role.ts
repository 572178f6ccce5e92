/** The redis machines: one redis server per shard, each of which boots as a replica of nobody (rule 1). */
import { createHash } from "node:crypto";
import { ownDatabase } from "../../../recovery/observe/own-keys.ts";
import { faultScript } from "../../../recovery/rehearsal/fault.ts";
import type { Detection, RedisMachine, Shard } from "../../../recovery/topology.ts";
import type { Config, Engine } from "../../config.ts";
import { type RedisOptions, redisOptionLines } from "../../redis-options.ts";
import { renderFile, roleFile } from "../../template.ts";
import type { CloudConfig } from "../../user-data.ts";
import { faultFile, file, imageConfig, machineConfig } from "../common/common.ts";
import { connectionsMax } from "../haproxy/role.ts";

const here = import.meta.dirname;

/** Clients have no access to keys that begin with this. Recovery keeps the epoch and the heartbeat there, in the data. */
export const reservedPrefix = "barton:";

/** The template unit of the servers, with every engine. */
const unit = "/etc/systemd/system/redis-server@.service";

/** Packages and units of the image. The servers are part of the machine's configuration, because their number may change. */
export function redisImage(engine: Engine): CloudConfig {
  return imageConfig(
    [`${engine}-server`, `${engine}-tools`],
    [
      file(`${unit}.d/barton.conf`, renderFile(here, "redis-server.conf", { engine })),
      file("/etc/systemd/system/barton-shards.service", roleFile(here, "barton-shards.service")),
      file("/usr/local/lib/barton/start-shards", roleFile(here, "start-shards"), "0755"),
      file("/usr/local/lib/barton/memory-limits", roleFile(here, "memory-limits"), "0755"),
      file("/etc/systemd/system/barton-data.service", roleFile(here, "barton-data.service")),
      file("/usr/local/lib/barton/mount-data", roleFile(here, "mount-data"), "0755"),
      file("/usr/local/lib/barton/mend-append-only-file", roleFile(here, "mend-append-only-file"), "0755"),
      faultFile(),
      // Without it a fork may fail on a large instance. `-`: not every kernel lets itself be told.
      file("/etc/sysctl.d/60-barton.conf", "-vm.overcommit_memory = 1\n"),
    ],
    [
      // Debian's own server at 6379: a writable master that nobody asked for.
      `systemctl disable --now ${engine}-server.service`,
      `systemctl mask ${engine}-server.service`,
      `rm -f /etc/${engine}/${engine}.conf`,
      // The unit has one name, so that an alert, a rehearsal and a person need not know the engine.
      ...(engine === "redis" ? [] : [`cp /usr/lib/systemd/system/${engine}-server@.service ${unit}`]),
      "systemctl enable barton-data.service barton-shards.service",
    ],
  );
}

/** The configuration of a redis machine, with passwords in clear. */
export type RedisMachineArgs = {
  name: RedisMachine;
  config: Pick<
    Config,
    | "domain"
    | "engine"
    | "shardList"
    | "redisOptions"
    | "detection"
    | "vpcCidr"
    | "rehearsal"
    | "recoverySshPublicKey"
  >;
  secrets: { clientPassword: string; replicationPassword: string; recoveryPassword: string };
};

export function redisMachine({ name, config, secrets }: RedisMachineArgs): CloudConfig {
  const commonFile = "/etc/redis/barton.conf";
  const aclFile = "/etc/redis/users.acl";
  const own = (path: string, content: string) => file(path, content, "0640", `root:${config.engine}`);
  const files = [
    own(
      commonFile,
      redisConf({
        bind: "0.0.0.0",
        aclFile,
        memoryFile: "/etc/redis/memory.conf",
        replicationPassword: secrets.replicationPassword,
        options: config.redisOptions,
      }),
    ),
    own(aclFile, usersAcl(secrets)),
    // The label that the file system of the data volume must have.
    file("/etc/barton/data-volume", `${name}\n`),
    ...config.shardList.map(({ redisPort: port }) =>
      own(
        `/etc/redis/redis-${port}.conf`,
        shardConf({
          port,
          commonFile,
          dataDir: `/srv/redis/${port}`,
          runDir: `/run/${config.engine}-${port}`,
        }),
      ),
    ),
    file(
      `${unit}.d/restart.conf`,
      renderFile(here, "restart.conf", { seconds: restartSeconds(config.detection) }),
    ),
  ];
  return machineConfig(name, config, files, rehearsalKeys(config));
}

/** Where rehearsals are allowed, monit's key starts one script on a redis machine and nothing else. */
function rehearsalKeys({ rehearsal, vpcCidr, recoverySshPublicKey }: RedisMachineArgs["config"]): string[] {
  if (rehearsal === "off") return [];
  return [`restrict,from="${vpcCidr}",command="${faultScript}" ${recoverySshPublicKey}`];
}

/** Connections of redis servers that no client may take: replica, recovery, probes of both proxies, and whatever a person opens. */
const reservedClients = 1_000;

/** The part that all servers of a machine share. */
export function redisConf(values: {
  bind: string;
  aclFile: string;
  memoryFile: string;
  replicationPassword: string;
  options?: RedisOptions;
}): string {
  const { options = {}, ...rest } = values;
  return renderFile(here, "redis.conf", {
    ...rest,
    options: redisOptionLines(options).map((line) => ({ line })),
    databases: ownDatabase + 1,
    clientsMax: 2 * connectionsMax + reservedClients,
  });
}

/** One server's own part. */
export function shardConf(values: {
  port: Shard["redisPort"];
  commonFile: string;
  dataDir: string;
  runDir: string;
}): string {
  return renderFile(here, "shard.conf", values);
}

/** The users; only hashes of their passwords are in it. */
export function usersAcl(secrets: RedisMachineArgs["secrets"]): string {
  const sha256 = (text: string) => createHash("sha256").update(text).digest("hex");
  return renderFile(here, "users.acl", {
    clientHash: sha256(secrets.clientPassword),
    clientKeys: keysWithout(reservedPrefix).join(" "),
    clientDatabases: Array.from({ length: ownDatabase }, (_, i) => `+select|${i}`).join(" "),
    replicationHash: sha256(secrets.replicationPassword),
    recoveryHash: sha256(secrets.recoveryPassword),
  });
}

/**
 * ACL key patterns for every key that does not begin with `prefix`. An ACL can only allow. So the patterns are: each proper
 * beginning of the prefix, and each beginning followed by another letter than that of the prefix.
 */
export function keysWithout(prefix: string): string[] {
  return [...prefix].flatMap((letter, i) => {
    const beginning = prefix.slice(0, i);
    return [`~${beginning}`, `~${beginning}[^${letter}]*`];
  });
}

/** Seconds that a crashed server stays away: longer than the slowest detection. */
export function restartSeconds(detection: Detection): number {
  return Math.max(
    3,
    Math.ceil((3 * detection.failures * (detection.intervalMs + detection.connectTimeoutMs)) / 1000),
  );
}
