/**
 * Clients of one shard through one proxy: one that connects anew for every write, and one that keeps its
 * connection. Both count what was acknowledged; at the end everything acknowledged is looked for.
 */
import { Redis } from "ioredis";
import { passwords } from "./world.ts";

export interface Account {
  acknowledged: number;
  /** Errors of clients that connected anew. */
  errorsAnew: number;
  /** Errors of the client with a persistent connection. */
  errorsPersistent: number;
  /** Longest time between two acknowledged writes (milliseconds). */
  longestGapMs: number;
}

export class Traffic {
  readonly #address: string;
  readonly #port: number;
  readonly #acknowledged: string[] = [];
  readonly #account: Account = { acknowledged: 0, errorsAnew: 0, errorsPersistent: 0, longestGapMs: 0 };
  readonly #loops: Promise<void>[];
  #lastMs = performance.now();
  #stopped = false;
  static #number = 0;

  constructor(address: string, port: number) {
    this.#address = address;
    this.#port = port;
    this.#loops = [this.#anew(), this.#persistent()];
  }

  /** Waits until `count` more writes were acknowledged. */
  async flowing(count = 50, deadlineMs = 15_000): Promise<void> {
    const wanted = this.#account.acknowledged + count;
    const deadline = performance.now() + deadlineMs;
    while (this.#account.acknowledged < wanted) {
      if (performance.now() > deadline) throw new Error(`no ${count} writes within ${deadlineMs} ms`);
      await pause(10);
    }
  }

  get errorsPersistent(): number {
    return this.#account.errorsPersistent;
  }

  /** The longest gap counts from now. */
  forget(): void {
    this.#account.longestGapMs = 0;
    this.#lastMs = performance.now();
  }

  async stop(): Promise<Account> {
    this.#stopped = true;
    await Promise.all(this.#loops);
    return this.#account;
  }

  /** Acknowledged writes that the server at this address does not have. */
  async lostAt(address: string, port: number): Promise<string[]> {
    const redis = connectTo(address, port);
    try {
      const values = await Promise.all(this.#acknowledged.map((key) => redis.get(key)));
      return this.#acknowledged.filter((_, position) => values[position] === null);
    } finally {
      redis.disconnect();
    }
  }

  async #anew(): Promise<void> {
    while (!this.#stopped) {
      const redis = connectTo(this.#address, this.#port);
      await this.#write(redis, () => {
        this.#account.errorsAnew += 1;
      });
      redis.disconnect();
      await pause(5);
    }
  }

  async #persistent(): Promise<void> {
    let redis = connectTo(this.#address, this.#port);
    while (!this.#stopped) {
      const isWell = await this.#write(redis, () => {
        this.#account.errorsPersistent += 1;
      });
      if (!isWell) {
        redis.disconnect();
        redis = connectTo(this.#address, this.#port);
      }
      await pause(5);
    }
    redis.disconnect();
  }

  async #write(redis: Redis, onError: () => void): Promise<boolean> {
    const key = `key-${Traffic.#number++}`;
    try {
      await redis.set(key, "1");
    } catch {
      onError();
      return false;
    }
    const now = performance.now();
    this.#account.longestGapMs = Math.max(this.#account.longestGapMs, now - this.#lastMs);
    this.#lastMs = now;
    this.#account.acknowledged += 1;
    this.#acknowledged.push(key);
    return true;
  }
}

/** As the client user; one attempt, one error. */
export function connectTo(
  host: string,
  port: number,
  user = "client",
  password = passwords.clientPassword,
): Redis {
  const redis = new Redis({
    host,
    port,
    username: user,
    password,
    protocol: 2,
    disableClientInfo: true,
    enableReadyCheck: false,
    connectTimeout: 20_000,
    maxRetriesPerRequest: null,
    autoResendUnfulfilledCommands: false,
    retryStrategy: () => null,
  });
  redis.on("error", () => {});
  return redis;
}

const pause = (ms: number) => new Promise<void>((resolve) => setTimeout(resolve, ms));
