/**
 * What is on disk, read with suspicion. Each part is validated by itself: a damaged one is left out and named, and the
 * rest counts. Losing a part loses no data, because epochs and beats travel with the data themselves.
 */
import { z } from "zod";
import { machineNames, proxyMachines, redisMachines, replaceableMachines } from "../../topology.ts";

const epoch = z.int().nonnegative();
const verdict = z.object({
  condition: z.enum(["refused", "silent", "hung", "off"]),
  by: z.array(z.enum([...proxyMachines, "monit", "the cloud"])),
  instanceId: z.string().optional(),
});
const redisMachine = z.enum(redisMachines);
const master = z.object({
  machine: redisMachine,
  runId: z.string(),
  epoch: epoch.optional(),
  instanceId: z.string().optional(),
});
const inSync = z.object({ master: z.string(), replica: z.string() });
const newcomer = z.object({ configured: z.boolean(), failedAttempts: z.int().nonnegative() });
const cause = {
  instanceId: z.string().optional(),
  because: z.string(),
  planned: z.literal(true).optional(),
};
const powerOff = z.union([
  z.enum(["not requested", "begun", "accepted"]),
  // Its time is of a process that has ended.
  z.object({}).transform(() => "begun" as const),
]);
const replacement = z.discriminatedUnion("phase", [
  z.object({ ...cause, phase: z.literal("condemned"), powerOff }),
  z.object({ ...cause, phase: z.literal("tainted"), powerOff }),
  z.object({ ...cause, phase: z.literal("launched") }),
  z.object({ ...cause, phase: z.literal("taken back") }),
]);
/** A replacement as it is on disk: without a time, which means nothing to the next process, and without a hold. */
export type SavedReplacement = z.infer<typeof replacement>;

const replaced = z.object({ machine: z.enum(machineNames), wallMs: z.number() });

const serverName = z.stringFormat("server", new RegExp(`^(${redisMachines.join("|")})/[1-9]\\d*$`));
const shardIndex = z.stringFormat("shard", /^[1-9]\d*$/);
const machineName = z.enum(machineNames);
const replaceable = z.enum(replaceableMachines);

/** The parts that could be read, and one sentence for each part that was left out. */
export interface Read {
  servers: [id: string, z.infer<typeof verdict>][];
  shards: [index: number, ReadShard][];
  machines: [z.infer<typeof machineName>, ReadMachine][];
  recordedMonit?: string;
  replacements: z.infer<typeof replaced>[];
  dropped: string[];
}

interface ReadShard {
  epoch?: number;
  attempted?: number;
  master?: z.infer<typeof master>;
  usedLast?: z.infer<typeof redisMachine>;
  inSync?: z.infer<typeof inSync>;
}

interface ReadMachine {
  ordered?: string;
  replacement?: SavedReplacement;
  newcomer?: z.infer<typeof newcomer>;
}

/** Reads what is on disk; never throws, whatever that is. */
export function readSaved(saved: unknown): Read {
  const dropped: string[] = [];
  if (saved === undefined || saved === null) {
    return { servers: [], shards: [], machines: [], replacements: [], dropped };
  }
  const reader = new Reader(dropped);
  const sections = fromFormerFormat(reader.object(saved, "memory"), reader);
  return {
    servers: reader.entries(sections.servers, "servers", serverName).flatMap(([id, server]) => {
      const read = reader.part(verdict, server.verdict, `verdict on ${id}`);
      return read ? [[id, read] as [string, typeof read]] : [];
    }),
    shards: reader.entries(sections.shards, "shards", shardIndex).map(([index, shard]) => [
      Number(index),
      {
        epoch: reader.part(epoch, shard.epoch, `epoch of shard ${index}`),
        attempted: reader.part(epoch, shard.attempted, `attempted epoch of shard ${index}`),
        master: reader.part(master, shard.master, `master of shard ${index}`),
        usedLast: reader.part(redisMachine, shard.usedLast, `server last used of shard ${index}`),
        inSync: reader.part(inSync, shard.inSync, `inSync of shard ${index}`),
      },
    ]),
    machines: reader.entries(sections.machines, "machines", machineName).map(([name, machine]) => {
      const isReplaceable = replaceable.safeParse(name).success;
      const ofMachine = isReplaceable ? replacement : z.never();
      return [
        name,
        {
          ordered: reader.part(z.string(), machine.ordered, `order for ${name}`),
          replacement: reader.part(ofMachine, machine.replacement, `replacement of ${name}`),
          newcomer: reader.part(newcomer, machine.newcomer, `newcomer ${name}`),
        },
      ];
    }),
    recordedMonit: reader.part(z.string(), sections.recordedMonit, "recordedMonit"),
    replacements: reader.list(replaced, sections.replacements, "replacements"),
    dropped,
  };
}

type Fields = Record<string, unknown>;

/** Takes parts one by one, and notes those that are not what they should be. */
class Reader {
  readonly #dropped: string[];

  constructor(dropped: string[]) {
    this.#dropped = dropped;
  }

  drop(what: string, why: string): void {
    this.#dropped.push(`${what}: ${why}`);
  }

  part<T>(schema: z.ZodType<T>, value: unknown, what: string): T | undefined {
    if (value === undefined) return undefined;
    const { data, error } = schema.safeParse(value);
    if (error) this.drop(what, error.issues[0]?.message ?? "not valid");
    return data;
  }

  list<T>(schema: z.ZodType<T>, value: unknown, what: string): T[] {
    const items = this.part(z.array(z.unknown()), value, what) ?? [];
    return items.flatMap((item, position) => this.part(schema, item, `${what}[${position}]`) ?? []);
  }

  object(value: unknown, what: string): Fields {
    return this.part(z.record(z.string(), z.unknown()), value, what) ?? {};
  }

  /** The entries of a section whose names are as they should be, and which are objects. */
  entries<Name extends string>(value: unknown, what: string, name: z.ZodType<Name>): [Name, Fields][] {
    return Object.entries(this.object(value, what)).flatMap(([key, entry]) => {
      const known = this.part(name, key, `${what}.${key}`);
      return known === undefined ? [] : [[known, this.object(entry, `${what}.${key}`)] as [Name, Fields]];
    });
  }
}

const formerSections = ["epochs", "attempted", "masters", "inSync"] as const;
const formerFields = {
  epochs: "epoch",
  attempted: "attempted",
  masters: "master",
  inSync: "inSync",
} as const;

/**
 * Barton 1.0 kept one map for each thing. What it knew of the shards is taken over; its verdicts and replacements are not: the
 * former are reached again, and the latter are begun again.
 */
function fromFormerFormat(saved: Fields, reader: Reader): Fields {
  const isFormer = saved.shards === undefined && formerSections.some((name) => saved[name] !== undefined);
  if (!isFormer) return saved;
  const shards: Record<string, Fields> = {};
  for (const section of formerSections) {
    for (const [index, value] of Object.entries(reader.object(saved[section], section))) {
      shards[index] = { ...shards[index], [formerFields[section]]: value };
    }
  }
  for (const name of ["givenUp", "ordered", "newcomers", "out"]) {
    const value = saved[name];
    const isEmpty = value === undefined || JSON.stringify(value) === "{}";
    if (!isEmpty) reader.drop(name, "of an earlier version, which kept it in another form");
  }
  const { recordedMonit, replacements } = saved;
  return { shards, recordedMonit, replacements };
}
