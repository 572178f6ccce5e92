import { once } from "node:events";
import { mkdtempSync } from "node:fs";
import { rm, writeFile } from "node:fs/promises";
import { createServer, type IncomingMessage, type Server, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { text } from "node:stream/consumers";
import { afterEach, beforeEach, expect, test } from "vitest";
import { type Clock, systemClock } from "../../../recovery/clock.ts";
import type { Decision, Finding } from "../../../recovery/decide/decision.ts";
import { createLog } from "../../../recovery/log.ts";
import { Notifier, type SavedHolds } from "../../../recovery/report/notify.ts";
import {
  checkWebhookUrl,
  describeNotifications,
  type Notification,
  queueFile,
  queueSchema,
  Webhook,
} from "../../../recovery/report/webhook.ts";
import { DiskFiles, readKept } from "../../../recovery/storage/files.ts";
import { incident } from "./sample.ts";

let folder: string;
let files: DiskFiles;
let lines: string[];
const stops: AbortController[] = [];
const log = createLog({ write: (line) => lines.push(line) }, {});

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), "barton-webhook-"));
  lines = [];
  files = new DiskFiles({ log });
});
afterEach(async () => {
  for (const stop of stops) stop.abort();
  await files.settled();
  await rm(folder, { recursive: true, force: true });
});

let number = 0;
const messageOf = (sentence: string): Notification => {
  number += 1;
  return {
    id: `id-${number}`,
    event: "incident-start",
    at: "2026-01-01T12:00:00.000Z",
    stack: "barton",
    about: "redis1",
    sentence,
  };
};

type Received = Notification & { missed?: number };

/** A receiver on the loopback whose answers the test decides: an HTTP status, or its own doing. */
class Receiver {
  answer: (body: Received, response: ServerResponse) => number | Promise<number> = () => 200;
  readonly tried: Received[] = [];
  readonly taken: Received[] = [];
  port = 0;
  #server: Server | undefined;

  async start(): Promise<void> {
    this.#server = createServer((request, response) => void this.#take(request, response));
    this.#server.listen(this.port, "127.0.0.1");
    await once(this.#server, "listening");
    this.port = (this.#server.address() as AddressInfo).port;
  }

  async stop(): Promise<void> {
    const server = this.#server;
    if (!server?.listening) return;
    server.closeAllConnections();
    server.close();
    await once(server, "close");
  }

  async #take(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const body = JSON.parse(await text(request)) as Received;
    this.tried.push(body);
    const status = await this.answer(body, response);
    if (status < 300) this.taken.push(body);
    response.writeHead(status).end();
  }

  get sentences(): string[] {
    return this.taken.map(({ sentence }) => sentence);
  }
}

let receiver: Receiver;
beforeEach(async () => {
  receiver = new Receiver();
  await receiver.start();
});
afterEach(() => receiver.stop());

const quick = { answerMs: 5_000, firstPauseMs: 20, longestPauseMs: 100 };

/** The queue of a monitor that starts now. `stop`: it is killed. */
async function webhookOf(limits = quick, clock: Clock = systemClock) {
  const stop = new AbortController();
  stops.push(stop);
  const path = queueFile(folder);
  const saved = await readKept(files, path, queueSchema, log);
  const url = `http://127.0.0.1:${receiver.port}/secret-token`;
  const webhook = new Webhook({ url, clock, log, files, path, saved, signal: stop.signal, limits });
  return { webhook, stop: () => stop.abort() };
}

const eventually = { timeout: 20_000 };
const fakeClock = () => {
  const clock = { ms: 0, now: () => clock.ms, date: () => new Date(clock.ms), sleep: async () => {} };
  return clock satisfies Clock;
};

test("a notification arrives as JSON, with an id", async () => {
  const types: unknown[] = [];
  receiver.answer = (_, response) => {
    types.push([response.req.method, response.req.headers["content-type"]]);
    return 200;
  };
  const { webhook } = await webhookOf();
  const message = messageOf("redis1 is gone");
  webhook.send(message);
  await webhook.settled();
  expect(types).toEqual([["POST", "application/json"]]);
  expect(receiver.taken).toEqual([message]);
  expect(webhook.view).toEqual({ waiting: 0, dropped: 0, refused: 0, trouble: null });
  expect(describeNotifications(webhook.view)).toBeUndefined();
});

test("a receiver that is away, is slow and then has no room gets everything once it is well, in order, and once", async () => {
  await receiver.stop();
  const { webhook } = await webhookOf({ ...quick, answerMs: 300 });
  const sent = ["redis1 is gone", "redis1 is well again", "haproxy1 is gone"].map(messageOf);
  for (const one of sent) webhook.send(one);
  await expect
    .poll(() => webhook.view.trouble, eventually)
    .toMatch(/^notifications are not taken by .*ECONNREFUSED/);
  let release = (_: number) => {};
  receiver.answer = () =>
    new Promise<number>((done) => {
      release = done;
    });
  await receiver.start();
  await expect.poll(() => webhook.view.trouble, eventually).toMatch(/timeout/);
  receiver.answer = () => 503;
  release(503);
  await expect.poll(() => webhook.view.trouble, eventually).toMatch(/HTTP 503$/);
  expect(webhook.view.waiting).toBe(3);
  expect(describeNotifications(webhook.view)).toBe(
    `notifications: 3 wait, 0 dropped, 0 refused since the monitor began; notifications are not taken by 127.0.0.1:${receiver.port}: HTTP 503`,
  );
  receiver.taken.length = 0;
  receiver.answer = () => 200;
  await webhook.settled();
  expect(receiver.taken).toEqual(sent);
  expect(webhook.view).toMatchObject({ waiting: 0, trouble: null });
  // The same message after every try has the same id.
  expect(new Set(receiver.tried.map(({ id }) => id))).toEqual(new Set(sent.map(({ id }) => id)));
  expect(lines.join("")).not.toContain("secret-token");
});

test("the pauses grow to some minutes, and a new notification is tried at once", async () => {
  const pausesMs: number[] = [];
  receiver.answer = () => 503;
  const waits: { wake: () => void }[] = [];
  const clock: Clock = {
    ...systemClock,
    sleep: (ms, signal) => {
      pausesMs.push(ms);
      return new Promise((done) => {
        waits.push({ wake: done });
        signal?.addEventListener("abort", () => done());
      });
    },
  };
  const { webhook } = await webhookOf(
    { answerMs: 5_000, firstPauseMs: 1_000, longestPauseMs: 300_000 },
    clock,
  );
  webhook.send(messageOf("redis1 is gone"));
  for (let tries = 1; tries <= 11; tries += 1) {
    await expect.poll(() => waits.length, eventually).toBe(tries);
    waits.at(-1)?.wake();
  }
  expect(pausesMs.slice(0, 11)).toEqual([
    1_000, 2_000, 4_000, 8_000, 16_000, 32_000, 64_000, 128_000, 256_000, 300_000, 300_000,
  ]);
  await expect.poll(() => waits.length, eventually).toBe(12);
  receiver.answer = () => 200;
  webhook.send(messageOf("redis2 is gone"));
  await webhook.settled();
  expect(receiver.sentences).toEqual(["redis1 is gone", "redis2 is gone"]);
  // Told once, not at each try.
  expect(lines.filter((line) => line.includes("HTTP 503"))).toHaveLength(1);
});

test("what waits outlives a restart of the monitor", async () => {
  receiver.answer = () => 503;
  const first = await webhookOf();
  const sent = [messageOf("redis1 is gone"), messageOf("redis1 is well again")];
  for (const one of sent) first.webhook.send(one);
  await expect.poll(() => receiver.tried.length, eventually).toBeGreaterThan(1);
  expect(await files.settled()).toBe(true);
  first.stop();
  await first.webhook.settled();
  receiver.answer = () => 200;
  const second = await webhookOf();
  await second.webhook.settled();
  expect(receiver.taken).toEqual(sent);
  expect(await files.settled()).toBe(true);
  const third = await webhookOf();
  await third.webhook.settled();
  expect(receiver.taken).toEqual(sent);
});

test("a queue that is damaged is skipped with one warning", async () => {
  await writeFile(queueFile(folder), '{"waiting":[{"id":5}],"missed":0}');
  const { webhook } = await webhookOf();
  expect(webhook.view.waiting).toBe(0);
  expect(lines).toHaveLength(1);
  expect(lines[0]).toMatch(/notifications.json is damaged and is not used: waiting.0/);
});

test.each([400, 401, 404, 410, 422])(
  "a receiver that answers %s will not take it ever, and gets the next one",
  async (status) => {
    receiver.answer = ({ sentence }) => (sentence === "wrong" ? status : 200);
    const { webhook } = await webhookOf();
    webhook.send(messageOf("wrong"));
    await webhook.settled();
    const host = `127.0.0.1:${receiver.port}`;
    expect(webhook.view).toEqual({
      waiting: 0,
      dropped: 0,
      refused: 1,
      trouble: `${host} refuses notifications for good: HTTP ${status}`,
    });
    expect(lines.join("")).toContain(
      `${host} refuses notifications for good: HTTP ${status}; not sent again: wrong`,
    );
    webhook.send(messageOf("right"));
    await webhook.settled();
    expect(receiver.sentences).toEqual(["right"]);
    expect(webhook.view).toMatchObject({ refused: 1, trouble: null });
  },
);

test.each([408, 429, 500, 503])("one that answers %s is tried again", async (status) => {
  receiver.answer = () => (receiver.tried.length < 3 ? status : 200);
  const { webhook } = await webhookOf();
  webhook.send(messageOf("redis1 is gone"));
  await webhook.settled();
  expect(receiver.tried).toHaveLength(3);
  expect(webhook.view).toMatchObject({ refused: 0, trouble: null });
});

test("a receiver that hangs keeps nobody waiting, and only the newest hundred messages; the next one says how many are missing", async () => {
  let answer = (_: number) => {};
  const first = new Promise<number>((resolve) => {
    answer = resolve;
  });
  receiver.answer = () => first;
  const { webhook } = await webhookOf({ ...quick, answerMs: 60_000 });
  for (let count = 0; count < 300; count += 1) webhook.send(messageOf(`${count}`));
  expect(webhook.view).toMatchObject({ waiting: 101, dropped: 199 });
  expect(lines.filter((line) => line.startsWith("a notification is dropped"))).toHaveLength(199);
  answer(200);
  await webhook.settled();
  const { sentences } = receiver;
  expect(sentences).toHaveLength(101);
  expect([sentences[0], sentences[1], sentences.at(-1)]).toEqual(["0", "200", "299"]);
  expect(receiver.taken.map(({ missed }) => missed).slice(0, 3)).toEqual([undefined, 199, undefined]);
});

test("a notification that waits already is not sent twice", async () => {
  receiver.answer = () => (receiver.tried.length < 2 ? 503 : 200);
  const { webhook } = await webhookOf();
  const message = messageOf("redis1 is gone");
  webhook.send(message);
  webhook.send(message);
  await webhook.settled();
  expect(receiver.taken).toHaveLength(1);
});

test("an address that is none is refused without repeating it", () => {
  expect(checkWebhookUrl("https://hooks.example.com/x")).toBe("https://hooks.example.com/x");
  for (const wrong of ["secret", "ftp://x/secret"]) {
    expect(() => checkWebhookUrl(wrong)).toThrow(/^(?!.*secret).*BARTON_WEBHOOK_URL/);
  }
});

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
  operator: "Make the other redis machine come back.",
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

test("a hold that an earlier run told is not told again, and its end is told, but not while recovery still looks around", () => {
  const clock = fakeClock();
  const kept: SavedHolds[] = [];
  const run = (clock: Clock, saved?: SavedHolds) => {
    const sent: Notification[] = [];
    const notifier = new Notifier({
      send: (one) => void sent.push(one),
      clock,
      stack: "barton",
      saved,
      save: (holds) => kept.push(holds),
    });
    return { notifier, sent };
  };
  const before = run(clock);
  for (; clock.ms < 6_000; clock.ms += 1_000) before.notifier.takeDecisions([holding]);
  expect(before.sent).toHaveLength(1);
  expect(kept.at(-1)).toEqual({ "shard 1": "nothing-promotable" });

  const after = run(clock, kept.at(-1));
  after.notifier.takeDecisions([]);
  for (; clock.ms < 20_000; clock.ms += 1_000) after.notifier.takeDecisions([holding]);
  expect(after.sent).toEqual([]);
  clock.ms = 70_000;
  after.notifier.takeDecisions([{ ...holding, holds: undefined }]);
  expect(after.sent).toMatchObject([{ event: "hold-end", about: "shard 1" }]);
  expect(kept.at(-1)).toEqual({});
});

test("a shard that is blocked for two reasons has both told, and the end of each", () => {
  const clock = fakeClock();
  const sent: Notification[] = [];
  const kept: SavedHolds[] = [];
  const save = (holds: SavedHolds) => kept.push(holds);
  const notifier = new Notifier({ send: (one) => void sent.push(one), clock, stack: "barton", save });
  const writes: Finding = {
    situation: "writes-refused",
    because: "redis1 refuses writes",
    operator: "Make room.",
    opens: true,
    holds: true,
  };
  for (; clock.ms < 6_000; clock.ms += 1_000) notifier.takeDecisions([{ ...holding, writes }]);
  expect(sent).toMatchObject([
    { event: "incident-hold", about: "shard 1", situation: holding.situation },
    {
      event: "incident-hold",
      about: "shard 1",
      situation: "writes-refused",
      sentence: "redis1 refuses writes",
    },
  ]);
  expect(kept.at(-1)).toEqual({ "shard 1": holding.situation, "shard 1, writes": "writes-refused" });
  notifier.takeDecisions([holding]);
  expect(sent.slice(2)).toMatchObject([{ event: "hold-end", about: "shard 1", situation: "writes-refused" }]);
});
