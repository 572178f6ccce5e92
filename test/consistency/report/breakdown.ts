/** Where the time of an interruption goes, from the last write before it to the first after it. Pure. */
import type { Incident } from "../../../recovery/incidents/record.ts";
import type { Interruption } from "../checkers/waits.ts";
import type { FaultRecord } from "../record.ts";

/**
 * Parts of an interruption in milliseconds, in their order; together they are the interruption. It begins with the last write
 * that was still answered: closer to the moment of death than the injection, which takes its time on a busy host. A part that
 * recovery has no record of is missing.
 */
export interface Breakdown {
  /** From the last write to the first failed probe. */
  firstSign?: number;
  /** From there to the verdict. */
  verdict?: number;
  /** From the verdict until the old master was fenced, its counterpart promoted, the traffic sent there. */
  fence?: number;
  promote?: number;
  release?: number;
  /** From there to the first acknowledged write. */
  clients?: number;
}

export const breakdownParts = ["firstSign", "verdict", "fence", "promote", "release", "clients"] as const;

/** What recovery recorded for a fault: incidents that were noticed from its injection until the next one. */
export function incidentsOf(incidents: readonly Incident[], fault: FaultRecord, until: number): Incident[] {
  return incidents.filter(({ noticedAt }) => {
    const at = Date.parse(noticedAt);
    return at >= fault.at && at < until;
  });
}

export function breakdownOf(
  incidents: readonly Incident[],
  interruption: Interruption | undefined,
): Breakdown | undefined {
  if (interruption === undefined) return undefined;
  const { shard, from, to } = interruption;
  const found = incidents
    .map((incident) => ({ incident, ends: endsOf(incident, shard) }))
    .find(({ ends }) => ends.release !== undefined && ends.release <= to + 50);
  if (found === undefined) return undefined;
  const { incident, ends } = found;
  const moments = [
    from,
    Date.parse(incident.firstSignAt ?? incident.noticedAt),
    Date.parse(incident.noticedAt),
    ends.fence,
    ends.promote,
    ends.release,
    to,
  ];
  const breakdown: Breakdown = {};
  let former = from;
  breakdownParts.forEach((part, i) => {
    const moment = moments[i + 1];
    if (moment === undefined) return;
    // Dates of incidents are whole milliseconds.
    breakdown[part] = Math.max(0, moment - former);
    former = Math.max(former, moment);
  });
  return breakdown;
}

/** When the steps of a shard's failover were done, by the sentences of `describeStep`. */
function endsOf({ steps }: Incident, shard: number): { fence?: number; promote?: number; release?: number } {
  const endOf = (pattern: RegExp) => {
    const step = steps.find((each) => pattern.test(each.step) && each.endedAt !== undefined);
    return step?.endedAt === undefined ? undefined : Date.parse(step.endedAt);
  };
  return {
    fence: endOf(new RegExp(`^fence .* of shard ${shard}$`)),
    promote: endOf(new RegExp(`^make .* master of shard ${shard} `)),
    release: endOf(new RegExp(`^send the traffic of shard ${shard} to `)),
  };
}
