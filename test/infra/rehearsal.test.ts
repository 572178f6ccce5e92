/** What `barton:rehearsal` opens, and that nothing of it is open unless it is set. */
import { describe, expect, test } from "vitest";
import { monitPolicy } from "../../infra/access.ts";
import { parseConfig, shardsOf } from "../../infra/config.ts";
import { trafficRules } from "../../infra/firewall.ts";
import { monitMachine } from "../../infra/roles/monit/role.ts";
import { redisMachine } from "../../infra/roles/redis/role.ts";
import { production } from "./settings.ts";

const passwords = {
  clientPassword: "client-password-for-tests",
  replicationPassword: "replication-password-for-tests",
  recoveryPassword: "recovery-password-for-tests",
};
const program = { bucket: "b", key: "program/x.tar.gz", sha256: "x", hash: "x" };

function stack(rehearsal: string) {
  const plain = parseConfig("barton", { ...production(), "barton:rehearsal": rehearsal });
  const config = { ...plain, stack: "barton", shardList: shardsOf(plain.shards, plain.ports) };
  const ids = {
    zoneId: "Z1",
    subnetIds: ["s1"],
    securityGroupIds: ["g1"],
    imageIds: ["a1"],
    keyName: "k",
    programBucket: "b",
  };
  const monit = monitMachine({ config, secrets: { ...passwords, recoverySshPrivateKey: "key" }, program });
  const redis = redisMachine({ name: "redis1", config, secrets: passwords });
  return {
    config,
    rules: trafficRules(config).map(({ from, to, ports }) => `${from} to ${to}: ${ports.join("-")}`),
    policy: monitPolicy({ ...ids, config: config as never }).Statement,
    redisKeys: redis.write_files?.find(({ path }) => path === "/root/.ssh/authorized_keys2"),
    environment: monit.write_files?.find(({ path }) => path === "/etc/barton/monitor.env")?.content ?? "",
  };
}

test("production is off until somebody sets it", () => {
  expect(parseConfig("barton", production()).rehearsal).toBe("off");
  expect(() => stack("yes")).toThrow('barton:rehearsal must be: "off", "confirmed" or "free"');
});

test("off: no way from monit to a redis machine, no right to stop one, no word of it", () => {
  const { rules, policy, redisKeys, environment } = stack("off");
  expect(rules).not.toContain("monit to redis: 22-22");
  expect(rules).not.toContain("monit to haproxy: 8001-8010");
  expect(JSON.stringify(policy)).not.toContain("StopInstances");
  expect(redisKeys).toBeUndefined();
  expect(environment).not.toContain("BARTON_REHEARSAL");
});

describe.each(["confirmed", "free"])("%s", (mode) => {
  const { rules, policy, redisKeys, environment, config } = stack(mode);

  test("monit's key starts one script on a redis machine, from inside the VPC, and nothing else", () => {
    expect(rules).toContain("monit to redis: 22-22");
    expect(redisKeys).toMatchObject({
      content: `restrict,from="10.42.0.0/16",command="/usr/local/lib/barton/fault" ${config.recoverySshPublicKey}\n`,
      permissions: "0600",
    });
  });

  test("the power of one of the five machines can be cut, and the proxies' ports be probed", () => {
    const [statement] = policy.filter(({ Action }) => Action.includes("ec2:StopInstances"));
    expect(statement?.Condition).toEqual({
      StringEquals: {
        "aws:ResourceTag/barton:stack": "barton",
        "aws:ResourceTag/barton:machine": ["redis1", "redis2", "haproxy1", "haproxy2", "app"],
      },
    });
    expect(rules).toContain("monit to haproxy: 8001-8010");
  });

  test("the command on monit knows it", () => {
    expect(environment).toContain(`BARTON_REHEARSAL="${mode}"`);
  });
});
