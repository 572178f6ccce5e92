/** One sequential client: an operation (or a pipeline of them), its record, a pause, the next. */
import { setTimeout as delay } from "node:timers/promises";
import { now, type Operation, type Outcome } from "../history.ts";
import { type Connection, connectLasting, connectOnce, type Endpoint } from "./connections.ts";
import { alreadyThere } from "./marks.ts";
import { outcomeOf, serverOf } from "./outcome.ts";
import { type ClientSpec, patienceMs, pauseOf, pipelineLength } from "./spec.ts";

export interface ClientOptions {
  spec: ClientSpec;
  shard: number;
  endpoint: Endpoint;
  prefix: string;
  rate: number;
  waitMs: number;
  record: (operation: Operation) => void;
}

/** The answer to one command, before it becomes a record. */
interface Answer {
  completedAt: number;
  outcome: Outcome;
  reply?: unknown;
  error?: string;
}

const noAnswer: unique symbol = Symbol("no answer");

export class Client {
  readonly #options: ClientOptions;
  #lasting: Connection | undefined;
  #stopping = new AbortController();
  /** Numbers the operations: makes keys unique, and is the value of the set's members and of the register. */
  #count = 0;
  /** When the operation that is under way began. */
  #begunAt: number | undefined;

  constructor(options: ClientOptions) {
    this.#options = options;
  }

  /** How many keys of its own it has tried to write: `NAME:1` to `NAME:count`. */
  get count(): number {
    return this.#count;
  }

  /** How long the operation that is under way has been waiting, in milliseconds; 0 when there is none. */
  get waitingMs(): number {
    return this.#begunAt === undefined ? 0 : now() - this.#begunAt;
  }

  stop(): void {
    this.#stopping.abort();
  }

  /** Works until it is stopped; what is under way then is still waited for. */
  async run(): Promise<void> {
    const { spec, rate } = this.#options;
    const pauseMs = pauseOf(spec.client, rate);
    const { signal } = this.#stopping;
    // Spread out, so that not all begin in the same millisecond.
    await delay(Math.random() * pauseMs, undefined, { signal }).catch(() => {});
    while (!signal.aborted) {
      const began = performance.now();
      await this.#once();
      const restMs = Math.max(1, pauseMs - (performance.now() - began));
      await delay(restMs, undefined, { signal }).catch(() => {});
    }
    this.#lasting?.redis.disconnect();
  }

  async #once(): Promise<void> {
    if (this.#options.spec.client !== "anew") return this.#through(this.#kept());
    const connection = connectOnce(this.#options.endpoint);
    await this.#through(connection);
    connection.redis.disconnect();
  }

  #kept(): Connection {
    this.#lasting ??= connectLasting(this.#options.endpoint);
    return this.#lasting;
  }

  /**
   * Sends the operations, `CLIENT INFO` (who answers?) and WAIT behind each other on one connection. If it breaks in
   * between, the rest is rejected and never sent elsewhere: so who answered one, answered all.
   */
  async #through(connection: Connection): Promise<void> {
    const { spec, waitMs } = this.#options;
    const { redis } = connection;
    const numbers = Array.from({ length: spec.client === "pipelined" ? pipelineLength : 1 }, () => {
      this.#count += 1;
      return this.#count;
    });
    const invokedAt = now();
    this.#begunAt = invokedAt;
    const sent = numbers.map((number) => this.#answer(this.#send(connection, number), connection));
    const server = redis.call("CLIENT", "INFO").then(
      (text) => serverOf(String(text)),
      () => undefined,
    );
    const confirmed = spec.confirm ? redis.wait(1, waitMs).then(sealOf, unsealed) : {};
    const answers = await Promise.all(sent);
    const rest = Promise.all([server, confirmed]);
    const isLate =
      answers.some(({ error }) => error === givenUp) || (await within(patienceMs, rest)) === noAnswer;
    // A connection that has stopped answering is given up; that answers what is still open.
    if (isLate) redis.disconnect(spec.client !== "anew");
    const [by, seal] = await rest;
    this.#begunAt = undefined;
    for (const [i, answer] of answers.entries()) this.#record(numbers[i] ?? 0, invokedAt, answer, by, seal);
  }

  #send({ redis }: Connection, number: number): Promise<unknown> {
    const { spec, prefix } = this.#options;
    switch (spec.action) {
      case "set":
        return redis.set(`${prefix}${this.#key(number)}`, number);
      case "add":
        return redis.sadd(`${prefix}set`, number);
      case "increment":
        return redis.incr(`${prefix}counter`);
      case "write":
        return redis.set(`${prefix}register`, number);
      case "read":
        return redis.get(`${prefix}register`);
    }
  }

  #key(number: number): string {
    return `${this.#options.spec.name}:${number}`;
  }

  async #answer(sent: Promise<unknown>, { wasMade, lastError }: Connection): Promise<Answer> {
    try {
      const reply = await within(patienceMs, sent);
      const completedAt = now();
      if (reply === noAnswer) return { completedAt, outcome: "unknown", error: givenUp };
      return { completedAt, outcome: "ok", reply };
    } catch (error) {
      const { message } = error as Error;
      const text = [message.split("\n")[0], lastError()].filter(Boolean).join(" · ");
      return { completedAt: now(), outcome: outcomeOf(error as Error, wasMade()), error: text };
    }
  }

  #record(
    number: number,
    invokedAt: number,
    { completedAt, outcome, reply, error }: Answer,
    server: string | undefined,
    seal: Seal,
  ): void {
    const { spec, shard, record } = this.#options;
    const value = valueFrom(spec, number, reply);
    record({
      process: `${shard}/${spec.name}`,
      client: spec.client,
      shard,
      action: spec.action,
      ...(spec.action === "set" ? { key: this.#key(number) } : {}),
      ...(value === undefined ? {} : { value }),
      invokedAt,
      completedAt,
      outcome,
      ...(outcome === "ok" ? seal : {}),
      ...(server === undefined ? {} : { server }),
      ...errorOf(spec, outcome, reply, error),
    });
  }
}

/** What WAIT said. */
type Seal = Pick<Operation, "confirmed" | "confirmedAt" | "confirmError">;

const sealOf = (replicas: number): Seal => ({ confirmed: replicas >= 1, confirmedAt: now() });
const unsealed = (error: Error): Seal => ({
  confirmed: false,
  confirmedAt: now(),
  confirmError: error.message.split("\n")[0] ?? "",
});

/** What a promise gives, or `noAnswer` when that takes longer. */
async function within<T>(ms: number, promise: Promise<T>): Promise<T | typeof noAnswer> {
  const timer = new AbortController();
  const late = delay(ms, undefined, { signal: timer.signal }).then(
    (): typeof noAnswer => noAnswer,
    (): typeof noAnswer => noAnswer,
  );
  try {
    return await Promise.race([promise, late]);
  } finally {
    timer.abort();
    promise.catch(() => {}); // it may be rejected when nobody waits for it any more
  }
}

const givenUp = `no answer within ${patienceMs} ms`;

/** A member that was there already means that the same command was carried out twice: redis' 0 is kept as the text. */
function errorOf(spec: ClientSpec, outcome: Outcome, reply: unknown, error: string | undefined) {
  if (spec.action === "add" && outcome === "ok" && reply !== 1) return { error: alreadyThere };
  return error === undefined ? {} : { error };
}

function valueFrom(spec: ClientSpec, number: number, reply: unknown): number | undefined {
  if (spec.action === "increment") return typeof reply === "number" ? reply : undefined;
  if (spec.action !== "read") return number;
  // Before the register's first write it is 0, so to say.
  return reply === undefined ? undefined : Number(reply ?? 0);
}
