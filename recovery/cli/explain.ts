/** `barton explain`: the tables of situations and their diagrams, printed as Markdown from the tables themselves. */
import { appSituations, monitSituations } from "../decide/policy/app-and-monit.ts";
import { proxySituations, redisSituations } from "../decide/policy/redis-machine.ts";
import { replacementSituations } from "../decide/policy/replacement.ts";
import { shardSituations } from "../decide/policy/shard.ts";
import { nothingToDo } from "../decide/policy/table.ts";
import { writeSituations } from "../decide/policy/writes.ts";

/** What is printed of a row of a table of situations (see decide/table.ts). */
export interface ExplainedRow {
  situation: string;
  meaning: string;
  operator?: string;
  leadsTo?: string[];
  settled?: boolean;
  opens?: boolean;
  holds?: boolean;
  steps?: unknown;
}

/** Every table by which recovery decides, under its title. */
export const tables: { title: string; rows: ExplainedRow[] }[] = [
  { title: "A shard", rows: shardSituations },
  { title: "Writes of a shard", rows: writeSituations },
  { title: "A redis machine", rows: redisSituations },
  { title: "A proxy machine", rows: proxySituations },
  { title: "The replacement", rows: replacementSituations },
  { title: "app", rows: appSituations },
  { title: "monit", rows: monitSituations },
];

const legend =
  "Within a table the first row that fits counts. **Well**: the desired state. **Acts**: steps are taken. " +
  "**Holds**: waits for a person or another machine, and says so. **Waits**: looks on. " +
  "+ opens a record of an incident.";

/** All tables and diagrams; the text that docs/states.md embeds. */
export function explain(): string {
  const sections = tables.map(({ title, rows }) => `## ${title}\n\n${table(rows)}\n\n${diagram(rows)}`);
  return [legend, ...sections].join("\n\n");
}

function table(rows: ExplainedRow[]): string {
  const lines = rows.map(
    (row) => `| ${row.situation} | ${kindOf(row)} | ${row.meaning} | ${row.operator ?? nothingToDo} |`,
  );
  return ["| situation | recovery | meaning | you |", "|---|---|---|---|", ...lines].join("\n");
}

function kindOf(row: ExplainedRow): string {
  const kind = row.settled ? "well" : row.steps ? "acts" : row.holds ? "holds" : "waits";
  return row.opens ? `${kind} +` : kind;
}

/** A mermaid state diagram; its identifiers may not contain hyphens. */
function diagram(rows: ExplainedRow[]): string {
  const id = (situation: string) => situation.replaceAll("-", "_");
  const named = rows
    .filter(({ situation }) => situation !== id(situation))
    .map(({ situation }) => `  state "${situation}" as ${id(situation)}`);
  const edges = rows.flatMap((row) =>
    (row.leadsTo ?? []).map((next) => {
      const label = row.settled ? "" : ` : ${kindOf(row).replace(" +", "")}`;
      return `  ${id(row.situation)} --> ${id(next)}${label}`;
    }),
  );
  return ["```mermaid", "stateDiagram-v2", ...named, ...edges, "```"].join("\n");
}
