import { once } from "node:events";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { text } from "node:stream/consumers";
import { expect, test } from "vitest";
import { type Clock, systemClock } from "../../../recovery/clock.ts";
import type { Decision } from "../../../recovery/decide/decide.ts";
import type { Incident } from "../../../recovery/incidents/record.ts";
import { createLog, silentLog } from "../../../recovery/log.ts";
import { Notifier } from "../../../recovery/report/notify.ts";
import { checkWebhookUrl, type Notification, Webhook } from "../../../recovery/report/webhook.ts";

const message: Notification = {
  event: "incident-start",
  at: "2026-01-01T12:00:00.000Z",
  stack: "barton",
  about: "redis1",
  sentence: "redis1 is gone",
};
const url = "http://hooks.example.com/secret-token";
const fakeClock = () => {
  const clock = { ms: 0, now: () => clock.ms, date: () => new Date(clock.ms), sleep: async () => {} };
  return clock satisfies Clock;
};

test("a notification arrives as JSON", async () => {
  const bodies: unknown[] = [];
  const receiver = createServer((request, response) => {
    text(request).then((body) => {
      bodies.push([request.method, request.headers["content-type"], JSON.parse(body)]);
      response.end();
    });
  }).listen(0, "127.0.0.1");
  await once(receiver, "listening");
  const { port } = receiver.address() as AddressInfo;
  const webhook = new Webhook({ url: `http://127.0.0.1:${port}/`, clock: systemClock, log: silentLog });
  webhook.send(message);
  await webhook.settled();
  receiver.closeAllConnections();
  receiver.close();
  expect(bodies).toEqual([["POST", "application/json", message]]);
});

test("a receiver that fails is tried three times, and logged once without its token", async () => {
  const lines: string[] = [];
  let attempts = 0;
  const webhook = new Webhook({
    url,
    clock: fakeClock(),
    log: createLog({ write: (line) => lines.push(line) }, {}),
    post: async () => {
      attempts += 1;
      throw new Error("HTTP 503");
    },
  });
  webhook.send(message);
  webhook.send(message);
  await webhook.settled();
  expect(attempts).toBe(6);
  expect(lines).toEqual(["notifications are not taken by hooks.example.com: HTTP 503\n"]);
});

test("a receiver that hangs keeps nobody waiting, and only the newest hundred messages", async () => {
  const sent: string[] = [];
  let answer = () => {};
  const first = new Promise<void>((resolve) => {
    answer = resolve;
  });
  const post = async (_: string, body: string) => {
    sent.push((JSON.parse(body) as Notification).sentence);
    await first;
  };
  const webhook = new Webhook({ url, clock: fakeClock(), log: silentLog, post });
  for (let number = 0; number < 300; number += 1) webhook.send({ ...message, sentence: `${number}` });
  answer();
  await webhook.settled();
  expect(sent).toHaveLength(101);
  expect([sent[0], sent[1], sent.at(-1)]).toEqual(["0", "200", "299"]);
});

test("an address that is none is refused without repeating it", () => {
  expect(checkWebhookUrl("https://hooks.example.com/x")).toBe("https://hooks.example.com/x");
  for (const wrong of ["secret", "ftp://x/secret"]) {
    expect(() => checkWebhookUrl(wrong)).toThrow(/^(?!.*secret).*BARTON_WEBHOOK_URL/);
  }
});

const incident: Incident = {
  id: "20260101-120000-redis1",
  machine: "redis1",
  because: "redis1 is gone",
  situation: "machine-lost",
  noticedAt: "2026-01-01T12:00:00.000Z",
  steps: [],
};

function notifying() {
  const clock = fakeClock();
  const sent: Notification[] = [];
  const notifier = new Notifier({ send: (one) => void sent.push(one), clock, stack: "barton" });
  return { clock, sent, notifier };
}

test("an incident is told at its start and at its end, its steps are not", () => {
  const { notifier, sent } = notifying();
  notifier.take({ event: "start", incident });
  notifier.take({ event: "step", kind: "fence", outcome: "done", tookMs: 1 });
  notifier.take({ event: "end", incident: { ...incident, tookMs: 1_500 } });
  expect(sent).toMatchObject([
    { event: "incident-start", about: "redis1", sentence: "redis1 is gone", situation: "machine-lost" },
    { event: "incident-end", sentence: "redis1 is well again", tookMs: 1_500, incidentId: incident.id },
  ]);
});

const holding: Decision = {
  subject: "shard 1",
  situation: "nothing-promotable",
  steps: [],
  because: "traffic waits",
  settled: false,
  opens: true,
  holds: true,
};

test("a hold is told once, when it lasts, and when it ends", () => {
  const { notifier, sent, clock } = notifying();
  for (clock.ms = 0; clock.ms < 20_000; clock.ms += 100) notifier.takeDecisions([holding]);
  notifier.takeDecisions([{ ...holding, holds: undefined }]);
  notifier.takeDecisions([]);
  expect(sent.map(({ event, about, at }) => [event, about, at])).toEqual([
    ["incident-hold", "shard 1", "1970-01-01T00:00:05.000Z"],
    ["hold-end", "shard 1", "1970-01-01T00:00:20.000Z"],
  ]);
});

test("a hold that passes is not told", () => {
  const { notifier, sent, clock } = notifying();
  notifier.takeDecisions([holding]);
  clock.ms = 4_000;
  notifier.takeDecisions([]);
  clock.ms = 6_000;
  notifier.takeDecisions([holding]);
  expect(sent).toEqual([]);
});
