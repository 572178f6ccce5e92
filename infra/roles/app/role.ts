/** The app machine. It stands for the many clients and has the local proxy that each client machine would have. */
import { join } from "node:path";
import type { Detection, Shard } from "../../../recovery/topology.ts";
import { addressIn } from "../../cidr.ts";
import { type Config, fixedPorts } from "../../config.ts";
import { renderFile, roleFile } from "../../template.ts";
import type { CloudConfig } from "../../user-data.ts";
import { file, imageConfig, machineConfig } from "../common/common.ts";
import {
  connectionValues,
  detectionValues,
  haproxyUnit,
  networkFile,
  unconfigured,
} from "../haproxy/role.ts";

const here = import.meta.dirname;
const cutScript = "/etc/haproxy/cut.lua";

export function appImage(): CloudConfig {
  return imageConfig(["haproxy", "socat", "redis-tools"], [haproxyUnit, networkFile], unconfigured);
}

export type AppMachineArgs = {
  config: Pick<Config, "domain" | "shardList" | "detection" | "vpcCidr">;
  clientPassword: string;
};

export function appMachine({ config, clientPassword }: AppMachineArgs): CloudConfig {
  return machineConfig("app", config, [
    file(
      "/etc/haproxy/haproxy.cfg",
      clientProxyConfig({
        shards: config.shardList,
        detection: config.detection,
        adminSocket: "/run/haproxy/admin.sock",
        runtimeBind: `0.0.0.0:${fixedPorts.runtime}`,
        clientBind: "127.0.0.1",
        // Amazon's resolver is always the third address of the VPC's block.
        resolver: `${addressIn(config.vpcCidr, 2)}:53`,
        haproxy1: `haproxy1.${config.domain}`,
        haproxy2: `haproxy2.${config.domain}`,
        healthPort: fixedPorts.health,
        cutScript,
      }),
    ),
    file(cutScript, roleFile(here, "cut.lua")),
    file("/etc/barton/client.env", renderFile(here, "client.env", { clientPassword }), "0600"),
    file("/usr/local/bin/redis-test", roleFile(join(here, "../../../scripts"), "redis-test"), "0755"),
  ]);
}

/** haproxy.cfg of a client machine. */
export function clientProxyConfig(args: {
  shards: readonly Shard[];
  detection: Detection;
  adminSocket: string;
  runtimeBind: string;
  clientBind: string;
  /** ADDRESS:PORT of the resolver that knows the proxies' names. */
  resolver: string;
  haproxy1: string;
  haproxy2: string;
  healthPort: number;
  /** cut.lua */
  cutScript: string;
}): string {
  const { shards, detection, ...rest } = args;
  return renderFile(here, "haproxy.cfg", {
    ...rest,
    ...detectionValues(detection),
    ...connectionValues(shards.length),
    firstClientPort: shards[0]?.clientPort ?? 0,
    shards: shards.map(({ index, clientPort, proxyPort }) => ({ index, clientPort, proxyPort })),
  });
}
