/** What a person should do, as each row says it, is shown in the status, the incident and the notification. */
import { expect, test } from "vitest";
import { describeStatus } from "../../../recovery/cli/describe-status.ts";
import type { Decision } from "../../../recovery/decide/decision.ts";
import { tables } from "../../../recovery/decide/policy/tables.ts";
import { Journal } from "../../../recovery/incidents/journal.ts";
import { describeIncident } from "../../../recovery/incidents/record.ts";
import { silentLog } from "../../../recovery/log.ts";
import { Bugs } from "../../../recovery/report/bugs.ts";
import { Notifier } from "../../../recovery/report/notify.ts";
import { statusOf } from "../../../recovery/report/status.ts";
import type { Notification } from "../../../recovery/report/webhook.ts";
import { down, World } from "../world-of-facts.ts";

const rows = tables.flatMap((table) => table.rows.map((row) => ({ ...row, table: table.title })));
const clock = {
  now: () => 100_000,
  date: () => new Date(0),
  sleep: async () => {},
};
const files = { write: () => {}, remove: () => {}, list: async () => [] };

test.each(rows.filter(({ settled }) => !settled))(
  "$table: $situation has its sentence in the status",
  ({ situation, operator, holds }) => {
    const world = new World();
    const decision: Decision = {
      subject: "redis1",
      situation,
      operator,
      holds,
      steps: [],
      because: "it is so",
      settled: false,
      opens: false,
    };
    const outcome = { ...world.decide(), decisions: [decision], settled: false };
    const status = statusOf(world.facts, outcome, { inProgress: false, incidents: [] });
    expect(describeStatus(status)).toContain(`to do: redis1, ${situation}: ${operator}`);
  },
);

test.each(rows.filter(({ opens }) => opens))(
  "$table: $situation has its sentence in the incident and in the notification of its start",
  ({ situation, operator }) => {
    const sent: Notification[] = [];
    const notifier = new Notifier({ send: (one) => void sent.push(one), clock, stack: "barton" });
    const bugs = new Bugs({ clock, log: silentLog });
    const journal = new Journal({ folder: "incidents", files, clock, log: silentLog, bugs });
    journal.watch(notifier.take);
    journal.open("redis1", "it is so", undefined, situation, operator);
    const [incident] = journal.openIncidents;
    expect(incident && describeIncident(incident)).toContain(`  to do       ${operator}\n`);
    expect(sent).toMatchObject([{ event: "incident-start", situation, operator }]);
  },
);

test("what waits for a person comes first in the status, and subjects with the same sentence share one", () => {
  const world = new World().lookAll("redis1", down("silent")).lookAll("redis2", down("silent"));
  const status = statusOf(world.facts, world.decide(), { inProgress: false, incidents: [] });
  expect(status.toDo?.[0]).toBe(
    "shard 1 and shard 2, shard-lost: Make one of the redis machines come back; `barton plan` says what they wait for.",
  );
});

test("a bug in recovery says what a person should do", () => {
  const sent: Notification[] = [];
  const notifier = new Notifier({ send: (one) => void sent.push(one), clock, stack: "barton" });
  notifier.takeBug({ where: "a cycle", message: "boom", times: 1, firstAt: "", lastAt: "" });
  expect(sent).toMatchObject([
    {
      event: "bug",
      operator: "Report it with the sentence of `barton status`, and look at the subject yourself.",
    },
  ]);
});
