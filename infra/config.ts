/**
 * The stack's configuration. It is read once, here, and validated as a whole, so all mistakes are reported together, each with
 * its key, its value and an example. `Pulumi.barton.yaml` shows every key in use.
 */
import * as pulumi from "@pulumi/pulumi";
import { z } from "zod";
import type { Shard } from "../recovery/topology.ts";
import { parseCidr } from "./cidr.ts";
import { redisOptions } from "./redis-options.ts";

/** Ports that are the same in every stack: the proxies' runtime API (monit alone) and their registration page. */
export const fixedPorts = { runtime: 8999, health: 8900 } as const;

/** The limit comes from user data (16 KB a machine). A test checks that this many shards fit. */
export const shardsMax = 100;

const positive = z.int("a whole number").positive("a whole number above 0");
const port = z.int("a port number").min(1024, "1024 or more").max(65535, "65535 or less");
const cidr = z.string("a CIDR block").superRefine((text, context) => {
  const problem = whyNotCidr(text);
  if (problem) context.addIssue(problem);
});
const instanceType = z
  .string("an EC2 instance type")
  .regex(/^[a-z][a-z0-9-]*\.[a-z0-9-]+$/, "an EC2 instance type");
const gibibytes = z.int("a whole number of GiB").min(8, "8 GiB or more").max(16384, "16384 GiB or less");
const publicKey = z
  .string()
  .regex(
    /^(ssh-ed25519|ssh-rsa) [A-Za-z0-9+/=]+( [^\n]*)?$/,
    "one line of an OpenSSH public key, ed25519 or RSA (EC2 takes no other)",
  );
const privateKey = z
  .string()
  .regex(
    /^-----BEGIN [A-Z ]*PRIVATE KEY-----\n[\s\S]+-----END [A-Z ]*PRIVATE KEY-----\s*$/,
    "an OpenSSH private key, whole",
  );
/** These characters need no quotes: not in redis.conf, not in an environment file, not in a URL. */
const password = z
  .string()
  .regex(/^[A-Za-z0-9_-]{16,128}$/, "16 to 128 characters of A-Z, a-z, 0-9, _ and -");

function whyNotCidr(text: string): string | undefined {
  const block = parseCidr(text);
  if (!block) return "a CIDR block like 10.42.0.0/16";
  if (!block.aligned)
    return `a CIDR block whose address is its network's; ${text} has bits behind its prefix`;
  return undefined;
}

/** The keys of namespace `barton`. `example` is what the message about a mistake suggests. */
const keys = {
  /** Redis servers on each redis machine; one proxy port and one client port for each. */
  shards: {
    schema: z.int("a whole number").min(1, "1 or more").max(shardsMax, `${shardsMax} or less`).default(2),
    example: "10",
  },
  /** Bases: shard i uses base + i. */
  ports: {
    schema: z.strictObject({
      client: port.default(7000),
      proxy: port.default(8000),
      redis: port.default(9000),
    }),
    fallback: {},
    example: '{"client":7000,"proxy":8000,"redis":9000}',
  },
  /** The private zone; the machines' names end with it. */
  domain: {
    schema: z
      .string()
      .regex(/^([a-z0-9]([a-z0-9-]{0,30}[a-z0-9])?)(\.[a-z0-9]([a-z0-9-]{0,30}[a-z0-9])?)*$/, "a domain name")
      .default("barton"),
    example: "barton",
  },
  vpcCidr: {
    schema: cidr
      .refine((text) => {
        const prefix = parseCidr(text)?.prefix;
        return prefix === undefined || (prefix >= 16 && prefix <= 22);
      }, "a block from /16 to /22: it holds two subnets of /24")
      .default("10.42.0.0/16"),
    example: "10.42.0.0/16",
  },
  /** redis1, haproxy1 and app are in the first; redis2, haproxy2 and monit in the second. */
  availabilityZones: {
    schema: z
      .tuple([z.string(), z.string()], "a list of two availability zones")
      .refine(([a, b]) => a !== b, "two different availability zones"),
    example: '["eu-central-1a","eu-central-1b"]',
  },
  instanceTypes: {
    schema: z.strictObject({
      redis: instanceType.default("t3.small"),
      haproxy: instanceType.default("t3.small"),
      app: instanceType.default("t3.small"),
      monit: instanceType.default("t3.small"),
      builder: instanceType.default("t3.small"),
    }),
    fallback: {},
    example: '{"redis":"r6i.large","haproxy":"c6i.large"}',
  },
  /** Size of each role's root volume. */
  diskGiB: {
    schema: z.strictObject({
      redis: gibibytes.default(8),
      haproxy: gibibytes.default(8),
      app: gibibytes.default(8),
      monit: gibibytes.default(8),
    }),
    fallback: {},
    example: '{"monit":16}',
  },
  /** Size of each redis machine's data volume, which has its append-only files. May grow, never shrink. */
  dataGiB: { schema: gibibytes.default(8), example: "100" },
  /** Settings of redis, by redis's own names. A change is effective once `barton roll` has replaced the redis machines. */
  redisOptions: {
    schema: redisOptions,
    fallback: {},
    example: '{"notify-keyspace-events":"Ex","maxmemory-policy":"volatile-lru"}',
  },
  /**
   * The server program on the redis machines. To be chosen before the first `up`: valkey cannot read what redis 8 has written (redis can
   * read what valkey has written).
   */
  engine: {
    schema: z.enum(["redis", "valkey"], '"redis" or "valkey"').default("redis"),
    example: "valkey",
  },
  /** Pinned: a newer Debian image must never replace a machine by itself. */
  baseAmi: {
    schema: z.string().regex(/^ami-[0-9a-f]{8,17}$/, "the id of a Debian 13 AMI"),
    example: "ami-0584590e5f0e97daa",
  },
  /** Who may ssh: at least the machine that runs `pulumi up`, which finishes images and delivers the program. */
  adminCidrs: {
    schema: z
      .array(cidr, "a list of CIDR blocks")
      .min(1, "a list with at least the address of the machine that runs pulumi")
      .refine((list) => list.every((block) => (parseCidr(block)?.prefix ?? 8) >= 8), {
        error: "no block wider than /8: ssh must not be open to the world",
      }),
    example: '["203.0.113.7/32"]',
  },
  /** Addresses that may read the metrics page on monit (port 9464), for Prometheus. Nobody, unless set. */
  monitoringCidrs: {
    schema: z
      .array(cidr, "a list of CIDR blocks")
      .refine((list) => list.every((block) => (parseCidr(block)?.prefix ?? 8) >= 8), {
        error: "no block wider than /8: the page is not for the world",
      })
      .default([]),
    example: '["203.0.113.8/32"]',
  },
  /** The address of a machine that pulumi uses for ssh. */
  connect: {
    schema: z.enum(["public", "private"], '"public" or "private"').default("public"),
    example: "public",
  },
  /** Protects what holds identity or data (the zone, the data volumes) against a `pulumi destroy`. */
  protect: { schema: z.boolean("true or false").default(false), example: "true" },
  sshPublicKey: { schema: publicKey, example: '"$(cat ~/.ssh/barton.pub)"' },
  sshPrivateKey: { schema: privateKey, example: "< ~/.ssh/barton", secret: true },
  recoverySshPublicKey: { schema: publicKey, example: '"$(cat ~/.ssh/barton-recovery.pub)"' },
  recoverySshPrivateKey: { schema: privateKey, example: "< ~/.ssh/barton-recovery", secret: true },
  clientPassword: { schema: password, example: '"$(openssl rand -hex 24)"', secret: true },
  replicationPassword: { schema: password, example: '"$(openssl rand -hex 24)"', secret: true },
  recoveryPassword: { schema: password, example: '"$(openssl rand -hex 24)"', secret: true },
  /** How failures are noticed; milliseconds, and `failures` in a row. See recovery/topology.ts. */
  detection: {
    schema: z
      .strictObject({
        intervalMs: positive.default(200),
        fastIntervalMs: positive.default(50),
        connectTimeoutMs: positive.default(200),
        failures: positive.default(3),
        stallMs: positive.default(4000),
      })
      .refine(
        (d) => d.fastIntervalMs <= d.intervalMs,
        "fastIntervalMs (after a failed probe) no longer than intervalMs",
      )
      .refine(
        (d) => d.stallMs > d.failures * (d.fastIntervalMs + d.connectTimeoutMs),
        "stallMs longer than failures × (fastIntervalMs + connectTimeoutMs): a stall gets more patience than an outage",
      ),
    fallback: {},
    example: '{"intervalMs":200,"fastIntervalMs":50,"connectTimeoutMs":200,"failures":3,"stallMs":4000}',
  },
  /**
   * Whether `barton rehearse`, on monit, may break machines: `off`: not at all; `confirmed`: after a person has typed the
   * machine's name; `free`: without a question, in a lab. Unless off, monit gets what it needs for that: ssh to one script on the
   * redis machines, `ec2:StopInstances`, and the proxies' ports, to measure what clients feel.
   */
  rehearsal: {
    schema: z.enum(["off", "confirmed", "free"], '"off", "confirmed" or "free"').default("off"),
    example: "confirmed",
  },
  /** Where Pulumi's state is, as `monit` reaches it. */
  backendUrl: {
    schema: z
      .string()
      .regex(
        /^(s3:\/\/[a-z0-9][a-z0-9.-]+(\/[\w./-]*)?(\?[\w=&.-]*)?|file:\/\/\/[\w.@:+/-]+)$/,
        "s3://… or file:///…",
      ),
    example: "s3://my-pulumi-state?region=eu-central-1",
  },
  /** Alias of the KMS key of the stack's secrets provider, for monit's permissions; none with a passphrase. */
  secretsKeyAlias: {
    schema: z
      .string()
      .regex(/^alias\/[\w/-]+$/, "the alias of a KMS key")
      .optional(),
    example: "alias/barton",
  },
  /** One tar.gz laid out as /opt/barton/tools; without it the official downloads are installed. */
  toolsUrl: {
    schema: z
      .string()
      .regex(/^https?:\/\/[\w.:/%?=&~-]+$/, "an http(s) URL")
      .optional(),
    example: "https://example.org/barton-tools.tar.gz",
  },
  /** SHA-256 of that archive, checked after the download. */
  toolsSha256: {
    schema: z
      .string()
      .regex(/^[0-9a-f]{64}$/, "64 hex digits")
      .optional(),
    example: `"$(sha256sum barton-tools.tar.gz | cut -d' ' -f1)"`,
  },
  /** Further environment of the monitor's service; `--secret` for a value that must not be read in the file. */
  monitEnvironment: {
    schema: z.record(
      z.string().regex(/^[A-Z_][A-Z0-9_]*$/),
      z.string().regex(/^[^\s"'\\$`]*$/, "values without spaces, quotes, $ and \\"),
      "a map of environment variables",
    ),
    fallback: {},
    example: '{"HTTPS_PROXY":"http://proxy.example.org:3128"}',
  },
  /** Folder of Pulumi.yaml in the repository: it travels to `monit`, where recovery runs pulumi in it. */
  projectFolder: {
    schema: z
      .string()
      .regex(/^(\.|[\w-]+(\/[\w-]+)*)$/, "a folder inside the repository")
      .default("."),
    example: "lab",
  },
} satisfies Record<string, KeySpec>;

type KeySpec = {
  schema: z.ZodType;
  /** The value of a key that is not set, where the schema has no default of its own (objects with defaults inside). */
  fallback?: unknown;
  example: string;
  /** Never shown, and must be set with --secret. */
  secret?: true;
};
type Key = keyof typeof keys;

/** What runs the shards: Debian's package of redis, or that of valkey. */
export type Engine = PlainConfig["engine"];

/** The configuration as plain values, secrets among them: handle with care, see {@link readConfig}. */
export type PlainConfig = { [K in Key]: z.output<(typeof keys)[K]["schema"]> } & { region: string };

type SecretKey = { [K in Key]: (typeof keys)[K] extends { secret: true } ? K : never }[Key];

/** The configuration of this stack. Secrets are Outputs that stay secret wherever they go. */
export type Config = Omit<PlainConfig, SecretKey> & {
  stack: string;
  shardList: Shard[];
  secrets: Record<SecretKey, pulumi.Output<string>>;
};

/** All mistakes of a configuration, one a line. */
export class ConfigError extends Error {
  override name = "ConfigError";
}

/**
 * Validates a stack's configuration. `values` are all keys as Pulumi hands them over (`barton:shards` → "10", objects
 * as JSON, secrets in clear); `secretKeys` those that are stored encrypted, if that is known.
 * Throws a {@link ConfigError} that lists every mistake; values of secrets are never in it.
 */
export function parseConfig(
  stack: string,
  values: Record<string, string>,
  secretKeys?: readonly string[],
): PlainConfig {
  const mistakes = [...unknownKeys(values)];
  const config: Record<string, unknown> = { region: values["aws:region"] };
  if (!values["aws:region"]) {
    mistakes.push("aws:region is not set, for example: pulumi config set aws:region eu-central-1");
  }
  for (const [key, spec] of Object.entries<KeySpec>(keys)) {
    const name = `barton:${key}`;
    const text = values[name];
    const result = spec.schema.safeParse(text === undefined ? spec.fallback : typedValue(spec, text));
    // Any key may be stored encrypted, for example an address with a token in it.
    const isSecret = spec.secret === true || secretKeys?.includes(name) === true;
    if (!result.success) mistakes.push(...mistakesOf(name, spec, text, result.error, isSecret));
    else config[key] = result.data;
    if (spec.secret && text !== undefined && secretKeys && !secretKeys.includes(name)) {
      mistakes.push(`${name} is stored in clear. Set it again with: ${setCommand(name, spec)}`);
    }
  }
  if (mistakes.length === 0) mistakes.push(...contradictions(config as PlainConfig));
  if (mistakes.length > 0) {
    throw new ConfigError(
      `The configuration of stack ${stack} has ${mistakes.length} mistake${mistakes.length > 1 ? "s" : ""}:\n` +
        mistakes.map((mistake) => `  - ${mistake}`).join("\n"),
    );
  }
  return config as PlainConfig;
}

/** The value of a key: a string as it is, everything else from JSON, as the CLI stores it. */
function typedValue(spec: KeySpec, text: string): unknown {
  if (spec.schema.safeParse(text).success) return text;
  try {
    return JSON.parse(text);
  } catch {
    return text;
  }
}

function setCommand(name: string, spec: KeySpec): string {
  if (spec.secret) return `pulumi config set --secret ${name} ${spec.example}`;
  const example = /[[{]/.test(spec.example) ? `'${spec.example}'` : spec.example;
  // Without --json (newer CLIs) a list or map is written into the stack's file; both forms end up as JSON here.
  return `pulumi config set ${name} ${example}`;
}

function mistakesOf(
  name: string,
  spec: KeySpec,
  text: string | undefined,
  error: z.ZodError,
  isSecret: boolean,
): string[] {
  if (text === undefined) return [`${name} is not set. For example: ${setCommand(name, spec)}`];
  const shown = isSecret ? "(a secret, not shown)" : text;
  return error.issues.map((issue) => {
    const path = [name, ...issue.path.map(String)].join(".");
    if (issue.code === "unrecognized_keys") {
      return `${path} knows no ${issue.keys.join(", ")}; it is ${shown}. For example: ${setCommand(name, spec)}`;
    }
    return `${path} must be: ${issue.message}; it is ${shown}. For example: ${setCommand(name, spec)}`;
  });
}

function* unknownKeys(values: Record<string, string>): Generator<string> {
  for (const name of Object.keys(values)) {
    if (!name.startsWith("barton:")) continue;
    const key = name.slice("barton:".length);
    if (Object.hasOwn(keys, key)) continue;
    const near = Object.keys(keys).find((known) =>
      known.toLowerCase().startsWith(key.toLowerCase().slice(0, 4)),
    );
    const hint = near ? `did you mean barton:${near}?` : `known are: ${Object.keys(keys).join(", ")}.`;
    yield `${name} is unknown; ${hint} To remove it: pulumi config rm ${name}`;
  }
}

/** Mistakes in the combination of two keys. */
function* contradictions(config: PlainConfig): Generator<string> {
  const ranges = shardsOf(config.shards, config.ports);
  const last = ranges.at(-1);
  if (last && Math.max(last.clientPort, last.proxyPort, last.redisPort) > 65535) {
    yield `barton:ports and barton:shards (${config.shards}) reach beyond port 65535.`;
  }
  for (const [what, fixed] of Object.entries(fixedPorts)) {
    if (ranges.some((shard) => shard.proxyPort === fixed)) {
      yield `barton:ports.proxy (${config.ports.proxy}) and barton:shards (${config.shards}) take port ${fixed}, which is the proxies' ${what} port.`;
    }
  }
  if (config.toolsSha256 && !config.toolsUrl)
    yield "barton:toolsSha256 is set, but barton:toolsUrl, whose archive it checks, is not.";
  const foreign = config.availabilityZones.filter((zone) => !zone.startsWith(config.region));
  if (foreign.length > 0)
    yield `barton:availabilityZones has ${foreign.join(", ")}, which is not in aws:region ${config.region}.`;
}

/** The port indexes, from the bases. */
export function shardsOf(count: number, ports: PlainConfig["ports"]): Shard[] {
  return Array.from({ length: count }, (_, i) => ({
    index: i + 1,
    clientPort: ports.client + i + 1,
    proxyPort: ports.proxy + i + 1,
    redisPort: ports.redis + i + 1,
  }));
}

/** Reads and validates this stack's configuration; throws a {@link pulumi.RunError}, which Pulumi shows without a stack trace. */
export function readConfig(): Config {
  const stack = pulumi.getStack();
  try {
    const plain = parseConfig(stack, pulumi.runtime.allConfig(), encryptedKeys());
    const source = new pulumi.Config("barton");
    const secretNames = Object.keys(keys).filter((key) => "secret" in keys[key as Key]) as SecretKey[];
    const secrets = Object.fromEntries(secretNames.map((key) => [key, source.requireSecret(key)]));
    for (const key of secretNames) delete (plain as Partial<PlainConfig>)[key];
    return {
      ...plain,
      stack,
      shardList: shardsOf(plain.shards, plain.ports),
      secrets: secrets as Config["secrets"],
    };
  } catch (error) {
    if (error instanceof ConfigError) throw new pulumi.RunError(error.message);
    throw error;
  }
}

/** Which keys are stored encrypted: the language host says so in the environment (none in unit tests). */
function encryptedKeys(): string[] | undefined {
  const text = process.env.PULUMI_CONFIG_SECRET_KEYS;
  return text ? (JSON.parse(text) as string[]) : undefined;
}
