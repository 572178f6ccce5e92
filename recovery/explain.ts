/** `barton explain`: the tables of situations as people read them, printed from the tables themselves. */
import { otherSituations, proxySituations, redisSituations } from "./decide/machine-situations.ts";
import { replacementSituations } from "./decide/replacement-situations.ts";
import { shardSituations } from "./decide/shard-situations.ts";

interface Explained {
  situation: string;
  meaning: string;
  settled?: boolean;
}

const tables: [title: string, rows: Explained[]][] = [
  ["A shard", shardSituations],
  ["A redis machine", redisSituations],
  ["A proxy machine", proxySituations],
  ["The replacement", replacementSituations],
  ["app and monit", otherSituations],
];

/** All tables; within one, the first row that fits counts. Rows marked with * are the desired state. */
export function explain(): string {
  return tables
    .map(([title, rows]) => {
      const lines = rows.map(({ situation, meaning, settled }) => {
        return `  ${(situation + (settled ? " *" : "")).padEnd(20)} ${meaning}`;
      });
      return `${title}\n${lines.join("\n")}`;
    })
    .join("\n\n");
}
