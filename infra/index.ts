/**
 * Everything that exists: six machines, and the network, images, volumes and rights that they need.
 *
 * The same program runs on AWS (Pulumi.yaml) and in the lab (lab/Pulumi.yaml). Recovery on `monit` runs it too when it replaces
 * a machine, limited to that machine and its own resources (its record; for a redis machine its attachment).
 */
import { readFileSync } from "node:fs";
import { join } from "node:path";
import * as pulumi from "@pulumi/pulumi";
import type { ProxyMachine, RedisMachine, ReplaceableMachine, Topology } from "../recovery/topology.ts";
import { createKeyPair, MonitRole } from "./access.ts";
import { writeBundle } from "./bundle.ts";
import { fixedPorts, readConfig } from "./config.ts";
import { DataVolume } from "./data-volume.ts";
import { Firewall } from "./firewall.ts";
import { BakedImage } from "./images.ts";
import { Machine, type MachineRole } from "./machine.ts";
import { MonitGroup } from "./monit-group.ts";
import { MonitProgram } from "./monit-program.ts";
import { createZone, Network } from "./network.ts";
import { ProgramStore } from "./program-store.ts";
import { appImage, appMachine } from "./roles/app/role.ts";
import { haproxyImage, haproxyMachine } from "./roles/haproxy/role.ts";
import { monitImage, monitMachine, monitorEnvironment, withoutEnvironment } from "./roles/monit/role.ts";
import { redisImage, redisMachine } from "./roles/redis/role.ts";
import type { CloudConfig } from "./user-data.ts";

const root = join(import.meta.dirname, "..");
const config = readConfig();

// Network, names and rights
const network = new Network("barton", config);
const firewall = new Firewall("barton", { config, vpcId: network.vpc.id });
const zone = createZone(config, network);
const keyName = createKeyPair(config).keyName;
const monitRole = new MonitRole("monit");

// Images
const bake = (name: MachineRole, contents: CloudConfig, stdin?: string) =>
  new BakedImage(
    name,
    {
      config,
      contents,
      stdin,
      keyName,
      subnetId: network.subnets[0].id,
      securityGroupId: firewall.groups.builder.id,
    },
    { dependsOn: network.wayOut },
  );
const tools = monitImage({
  root,
  archive: config.toolsUrl ? { url: config.toolsUrl, sha256: config.toolsSha256 } : undefined,
});
const images = {
  redis: bake("redis", redisImage(config.engine)),
  haproxy: bake("haproxy", haproxyImage()),
  app: bake("app", appImage()),
  monit: bake("monit", tools.contents, tools.stdin),
};

// Five machines, one of each pair in each zone; recovery on monit replaces them
type MachineSecrets = typeof noSecrets & { passphrase?: string };
const noSecrets = {
  clientPassword: "",
  replicationPassword: "",
  recoveryPassword: "",
  recoverySshPrivateKey: "",
};
const noProgram = { bucket: "", key: "", sha256: "", hash: "" };
const { clientPassword, replicationPassword, recoveryPassword, recoverySshPrivateKey } = config.secrets;
const machineSecrets = pulumi
  .all([clientPassword, replicationPassword, recoveryPassword, recoverySshPrivateKey])
  .apply(
    ([client, replication, recovery, sshKey]): MachineSecrets => ({
      clientPassword: client,
      replicationPassword: replication,
      recoveryPassword: recovery,
      recoverySshPrivateKey: sshKey,
      passphrase: stackPassphrase(),
    }),
  );
const launch = (
  name: ReplaceableMachine,
  role: Exclude<MachineRole, "monit">,
  subnet: 0 | 1,
  userData: (secrets: MachineSecrets) => CloudConfig,
) =>
  new Machine(name, {
    config,
    role,
    imageId: images[role].imageId,
    userData: machineSecrets.apply(userData),
    publicData: userData(noSecrets),
    subnetId: network.subnets[subnet].id,
    securityGroupId: firewall.groups[role].id,
    keyName,
    zoneId: zone.zoneId,
  });
const redis = (name: RedisMachine) => (known: MachineSecrets) =>
  redisMachine({ name, config, secrets: known });
const haproxy = (name: ProxyMachine) => () => haproxyMachine({ name, config });
const app = ({ clientPassword }: MachineSecrets) => appMachine({ config, clientPassword });
const machines: Record<ReplaceableMachine, Machine> = {
  redis1: launch("redis1", "redis", 0, redis("redis1")),
  redis2: launch("redis2", "redis", 1, redis("redis2")),
  haproxy1: launch("haproxy1", "haproxy", 0, haproxy("haproxy1")),
  haproxy2: launch("haproxy2", "haproxy", 1, haproxy("haproxy2")),
  app: launch("app", "app", 0, app),
};

// The data volumes of the redis machines; they outlive the machines
const volumes: Record<RedisMachine, DataVolume> = {
  redis1: new DataVolume("redis1", { config, zone: 0, instanceId: machines.redis1.instance.id }),
  redis2: new DataVolume("redis2", { config, zone: 1, instanceId: machines.redis2.instance.id }),
};

// The sixth machine is monit; an auto scaling group replaces it. It fetches this program and has the rights that recovery needs
const bundle = writeBundle({
  root,
  projectFolder: config.projectFolder,
  stack: config.stack,
  configFile: process.env.PULUMI_OPTION_CONFIG_FILE,
});
const program = new ProgramStore("barton-program", { bundle });
const permissions = monitRole.allow({
  config,
  keyName,
  zoneId: zone.zoneId,
  subnetIds: pulumi.all(network.subnets.map((subnet) => subnet.id)),
  securityGroupIds: pulumi.all([
    firewall.groups.redis.id,
    firewall.groups.haproxy.id,
    firewall.groups.app.id,
  ]),
  imageIds: pulumi.all([images.redis.imageId, images.haproxy.imageId, images.app.imageId]),
  programBucket: program.bucket.bucket,
});
const monit = new MonitGroup(
  "monit",
  {
    config,
    imageId: images.monit.imageId,
    userData: pulumi
      .all([machineSecrets, program.location])
      .apply(([secrets, program]) =>
        monitMachine({ config, secrets, passphrase: secrets.passphrase, program }),
      ),
    publicData: withoutEnvironment(monitMachine({ config, secrets: noSecrets, program: noProgram })),
    subnetIds: [network.subnets[1].id, network.subnets[0].id],
    securityGroupId: firewall.groups.monit.id,
    keyName,
    zoneId: zone.zoneId,
    instanceProfile: monitRole.profile.name,
  },
  { dependsOn: [...network.wayOut, permissions] },
);
new MonitProgram("program", {
  config,
  instance: monit.instance,
  program: program.location,
  environment: machineSecrets.apply(({ passphrase }) => monitorEnvironment({ config, passphrase })),
});

// Recovery ignores shards that some running machine does not have yet. A change of barton:shards takes effect when every machine
// was replaced (`barton roll`).
const { redis1, redis2, haproxy1, haproxy2 } = machines;
const servedShards = pulumi.all([redis1.shards, redis2.shards, haproxy1.shards, haproxy2.shards]);

/** Recovery reads this output. Its shape is in recovery/topology.ts. */
export const topology: pulumi.Output<Topology> = pulumi
  .all([
    mapValues({ ...machines, monit }, (machine) => machine.output),
    mapValues(volumes, ({ attachment }) => attachment.urn),
    servedShards,
  ])
  .apply(([{ redis1, redis2, ...others }, attachmentUrns, counts]) => ({
    domain: config.domain,
    machines: {
      redis1: { ...redis1, attachmentUrn: attachmentUrns.redis1 },
      redis2: { ...redis2, attachmentUrn: attachmentUrns.redis2 },
      ...others,
    } as Topology["machines"],
    shards: config.shardList.slice(0, Math.min(...counts)),
    ports: fixedPorts,
    detection: config.detection,
  }));

/** Recovery replaces a machine only while its own copy of the program has this hash. */
export const programHash = bundle.hash;

function mapValues<K extends string, V, W>(record: Record<K, V>, f: (value: V) => W): Record<K, W> {
  return Object.fromEntries(Object.entries<V>(record).map(([key, value]) => [key, f(value)])) as Record<K, W>;
}

/**
 * The passphrase of the stack's secrets, from pulumi's environment, if the stack uses one. Recovery runs pulumi on monit and
 * needs it there. A stack with a KMS key needs none: monit's role may use the key.
 */
function stackPassphrase(): string | undefined {
  const { PULUMI_CONFIG_PASSPHRASE: passphrase, PULUMI_CONFIG_PASSPHRASE_FILE: file } = process.env;
  return passphrase || (file ? readFileSync(file, "utf8").trim() : undefined);
}
