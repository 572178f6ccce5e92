/** Every table by which recovery decides, and the names of all situations: one union, so that a misspelt name does not compile. */
import { appSituations, monitSituations } from "./app-and-monit.ts";
import { proxySituations } from "./proxy.ts";
import { redisSituations } from "./redis-machine.ts";
import { replacementSituations } from "./replacement.ts";
import { shardSituations } from "./shard.ts";
import type { Row } from "./table.ts";
import { writeSituations } from "./writes.ts";

type NamesIn<Rows extends readonly { situation: string }[]> = Rows[number]["situation"];

type ShardSituation = NamesIn<typeof shardSituations> | NamesIn<typeof writeSituations>;
type ReplacementSituation = NamesIn<typeof replacementSituations>;

/** No row covers the facts, or a bug in recovery stopped the decision: nothing is done about that subject. */
export type Undecided = "UNKNOWN" | "BUG";

/** Every situation of one machine. */
export type MachineSituation =
  | NamesIn<typeof redisSituations>
  | NamesIn<typeof proxySituations>
  | NamesIn<typeof appSituations>
  | NamesIn<typeof monitSituations>
  | Undecided;

/** Every situation that a decision can have. */
export type Situation = ShardSituation | MachineSituation | ReplacementSituation;

/** What a table tells of a situation without being asked about a view. */
export type DescribedRow = Omit<Row<never>, "situation"> & { situation: Situation };

/** The tables under their titles, in the order in which people read them. */
export const tables: { title: string; rows: readonly DescribedRow[] }[] = [
  { title: "A shard", rows: shardSituations },
  { title: "Writes of a shard", rows: writeSituations },
  { title: "A redis machine", rows: redisSituations },
  { title: "A proxy machine", rows: proxySituations },
  { title: "The replacement", rows: replacementSituations },
  { title: "app", rows: appSituations },
  { title: "monit", rows: monitSituations },
];
