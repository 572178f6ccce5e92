/** `barton explain`: the tables of situations, printed as Markdown from the tables themselves. */
import { type DescribedRow, tables } from "../decide/policy/tables.ts";

const legend =
  "Within a table the first row that fits counts. **Well**: the desired state. **Acts**: steps are taken. " +
  "**Holds**: waits for a person or another machine, and says so. **Waits**: looks on. " +
  "+ opens a record of an incident.";

/** All tables; the text that docs/states.md embeds. */
export function explain(): string {
  const sections = tables.map(({ title, rows }) => `## ${title}\n\n${table(rows)}`);
  return [legend, ...sections].join("\n\n");
}

function table(rows: readonly DescribedRow[]): string {
  const lines = rows.map((row) => `| ${row.situation} | ${kindOf(row)} | ${row.meaning} | ${row.operator} |`);
  return ["| situation | recovery | meaning | you |", "|---|---|---|---|", ...lines].join("\n");
}

function kindOf(row: DescribedRow): string {
  const kinds = [row.settled && "well", row.steps && "acts", row.holds && "holds"].filter(Boolean);
  return `${kinds.join(", ") || "waits"}${row.opens ? " +" : ""}`;
}
