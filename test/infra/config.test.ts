import { expect, test } from "vitest";
import { ConfigError, parseConfig, shardsMax } from "../../infra/config.ts";
import { engineersOwn, production, secrets, stackFile } from "./settings.ts";

/** The mistakes of a configuration that is production's but for `changes` (undefined removes a key). */
function mistakes(changes: Record<string, string | undefined>, secretKeys?: string[]): string[] {
  const values = Object.fromEntries(
    Object.entries({ ...production(), ...changes }).filter(([, value]) => value !== undefined),
  ) as Record<string, string>;
  try {
    parseConfig("barton", values, secretKeys);
    return [];
  } catch (error) {
    if (!(error instanceof ConfigError)) throw error;
    return error.message
      .split("\n")
      .slice(1)
      .map((line) => line.replace(/^ {2}- /, ""));
  }
}

test("production: ten shards, two zones, a pinned image, and defaults for what is left out", () => {
  const config = parseConfig("barton", production());
  expect(config).toMatchObject({
    shards: 10,
    region: "eu-central-1",
    domain: "barton",
    availabilityZones: ["eu-central-1a", "eu-central-1b"],
    protect: true,
    projectFolder: ".",
    monitEnvironment: {},
  });
  expect(config.toolsUrl).toBeUndefined();
});

test("the defaults are the lab's: two shards and the documented detection", () => {
  const { shards, detection, ports, instanceTypes } = parseConfig("local", {
    "aws:region": "eu-central-1",
    "barton:availabilityZones": '["eu-central-1a","eu-central-1b"]',
    "barton:baseAmi": "ami-00000000000000013",
    ...engineersOwn,
    ...secrets,
  });
  expect(shards).toBe(2);
  expect(detection).toEqual({
    intervalMs: 200,
    fastIntervalMs: 50,
    connectTimeoutMs: 200,
    failures: 3,
    stallMs: 4000,
  });
  expect(ports).toEqual({ client: 7000, proxy: 8000, redis: 9000 });
  expect(instanceTypes.redis).toBe("t3.small");
});

test("an object may say only what differs from the defaults", () => {
  const config = parseConfig("barton", { ...production(), "barton:detection": '{"failures":5}' });
  expect(config.detection).toMatchObject({ failures: 5, intervalMs: 200 });
});

test("the stack's file alone is incomplete, and says exactly what is missing", () => {
  const own = [...Object.keys(engineersOwn), ...Object.keys(secrets)];
  expect(() => parseConfig("barton", stackFile("Pulumi.barton.yaml"))).toThrow(
    /^The configuration of stack barton has 10 mistakes:\n/,
  );
  const found = mistakes(Object.fromEntries(own.map((key) => [key, undefined])));
  expect(found).toHaveLength(10);
  for (const key of own)
    expect(found).toContainEqual(
      expect.stringMatching(new RegExp(`^${key} is not set. For example: pulumi config set`)),
    );
});

test.each<[Record<string, string>, RegExp]>([
  [
    { "barton:shards": "0" },
    /^barton:shards must be: 1 or more; it is 0\. For example: pulumi config set barton:shards 10$/,
  ],
  [{ "barton:shards": "many" }, /^barton:shards must be: a whole number; it is many\. For example: /],
  [{ "barton:shards": String(shardsMax + 1) }, /^barton:shards must be: 100 or less/],
  [{ "barton:ports": '{"redis":80}' }, /^barton:ports\.redis must be: 1024 or more; it is \{"redis":80\}/],
  [{ "barton:ports": '{"radis":9000}' }, /^barton:ports knows no radis; /],
  [{ "barton:ports": "9000" }, /^barton:ports must be: .*; it is 9000/],
  [{ "barton:ports": '{"redis":65530}' }, /reach beyond port 65535/],
  [{ "barton:ports": '{"proxy":8895}' }, /take port 8900, which is the proxies' health port/],
  [
    { "barton:vpcCidr": "10.42.1.0/16" },
    /^barton:vpcCidr must be: .*10\.42\.1\.0\/16 has bits behind its prefix/,
  ],
  [{ "barton:vpcCidr": "10.42.0.0/24" }, /^barton:vpcCidr must be: a block from \/16 to \/22/],
  [{ "barton:availabilityZones": '["eu-central-1a"]' }, /^barton:availabilityZones must be: a list of two/],
  [{ "barton:availabilityZones": '["eu-central-1a","eu-central-1a"]' }, /two different availability zones/],
  [
    { "barton:availabilityZones": '["us-east-1a","us-east-1b"]' },
    /us-east-1a, us-east-1b, which is not in aws:region/,
  ],
  [{ "barton:baseAmi": "debian-13" }, /^barton:baseAmi must be: the id of a Debian 13 AMI; it is debian-13/],
  [{ "barton:engine": "keydb" }, /^barton:engine must be: "redis" or "valkey"; it is keydb/],
  [{ "barton:adminCidrs": '["0.0.0.0/0"]' }, /ssh must not be open to the world; it is \["0\.0\.0\.0\/0"\]/],
  [{ "barton:adminCidrs": "[]" }, /^barton:adminCidrs must be: a list with at least the address/],
  [{ "barton:connect": "vpn" }, /^barton:connect must be: "public" or "private"; it is vpn/],
  [{ "barton:detection": '{"failures":0}' }, /^barton:detection\.failures must be: a whole number above 0/],
  [{ "barton:detection": '{"stallMs":500}' }, /^barton:detection must be: stallMs longer than/],
  [
    { "barton:instanceTypes": '{"redis":"big"}' },
    /^barton:instanceTypes\.redis must be: an EC2 instance type/,
  ],
  [
    { "barton:backendUrl": "CHANGE-ME" },
    /^barton:backendUrl must be: s3:\/\/… or file:\/\/\/…; it is CHANGE-ME/,
  ],
  [{ "barton:toolsSha256": "0".repeat(64) }, /barton:toolsUrl, whose archive it checks, is not/],
  [{ "barton:monitEnvironment": '{"A":"$(id)"}' }, /^barton:monitEnvironment\.A must be: values without/],
  [
    { "barton:shard": "3" },
    /^barton:shard is unknown; did you mean barton:shards\? To remove it: pulumi config rm barton:shard$/,
  ],
  [{ "barton:frobnicate": "3" }, /^barton:frobnicate is unknown; known are: shards, ports,/],
  [
    { "barton:redisOptions": '{"maxmemory-policy":"allkeys-lru"}' },
    /^barton:redisOptions\.maxmemory-policy must be: noeviction, .*allkeys-… would evict recovery's own keys/,
  ],
  [{ "barton:redisOptions": '{"appendonly":"no"}' }, /^barton:redisOptions knows no appendonly; /],
  [
    { "barton:redisOptions": '{"maxmemory":"1mb"}' },
    /^barton:redisOptions\.maxmemory must be: a size like 512mb, from 16mb to 1024gb/,
  ],
  [
    { "barton:redisOptions": '{"notify-keyspace-events":"Ex\\nreplicaof no one"}' },
    /^barton:redisOptions\.notify-keyspace-events must be: letters of redis's keyspace events/,
  ],
  [{ "barton:redisOptions": '{"timeout":"soon"}' }, /^barton:redisOptions\.timeout must be: a whole number/],
  [{ "barton:domain": "-barton" }, /^barton:domain must be: a domain name; it is -barton/],
])("names the mistake in %j", (change, message) => {
  expect(mistakes(change)).toEqual([expect.stringMatching(message)]);
});

test("tells all mistakes at once", () => {
  expect(
    mistakes({ "barton:shards": "0", "barton:connect": "vpn", "barton:clientPassword": undefined }),
  ).toHaveLength(3);
});

test("never shows a secret", () => {
  const [mistake] = mistakes({ "barton:clientPassword": "too short!" });
  expect(mistake).toMatch(
    /^barton:clientPassword must be: 16 to 128 characters .* it is \(a secret, not shown\)/,
  );
  expect(mistake).not.toContain("too short!");
});

test("never shows what somebody chose to store encrypted", () => {
  const change = { "barton:monitEnvironment": '{"BARTON_WEBHOOK_URL":"https://hooks.example.com/ TOKEN"}' };
  const [mistake] = mistakes(change, [...Object.keys(secrets), "barton:monitEnvironment"]);
  expect(mistake).toMatch(/^barton:monitEnvironment\.BARTON_WEBHOOK_URL must be: .* \(a secret, not shown\)/);
  expect(mistake).not.toContain("TOKEN");
});

test("refuses a secret that is stored in clear, where the language host tells", () => {
  const encrypted = Object.keys(secrets).filter((key) => key !== "barton:clientPassword");
  expect(mistakes({}, encrypted)).toEqual([
    expect.stringMatching(
      /^barton:clientPassword is stored in clear\. Set it again with: pulumi config set --secret/,
    ),
  ]);
});
