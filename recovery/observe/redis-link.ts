/**
 * One persistent, authenticated connection to a redis server, for probes and for commands.
 * It is opened on demand. A broken connection is not retried by itself; the next question opens a new one.
 */
import { Redis } from "ioredis";
import type { RedisInfo, Refusal } from "./facts.ts";
import { type Knock, knock, unaskedWord } from "./knock.ts";
import { beatKey, epochKey, selectOwnDatabase } from "./own-keys.ts";
import { idleSecondsByAddress, infoSections, parseRedisInfo, refusalOf } from "./redis-info.ts";
import { resetConnection } from "./reset-connection.ts";
import type { Watched } from "./watcher.ts";

export interface RedisCredentials {
  redisUser: string;
  redisPassword: string;
}

/** The answer of a redis server: its information, or why it refuses recovery. */
export type RedisAnswer = { info: RedisInfo } | { refusal: Refusal };

export class RedisLink implements Watched<RedisAnswer> {
  readonly #address: string;
  readonly #port: number;
  readonly #credentials: RedisCredentials;
  readonly #connectTimeoutMs: number;
  #client: Redis | undefined;
  #isClosed = false;
  /** Addresses whose sessions the next probes ask about (see `RedisInfo.sessionsIdleSeconds`). */
  watchedAddresses: () => string[] = () => [];

  constructor(address: string, port: number, credentials: RedisCredentials, connectTimeoutMs: number) {
    this.#address = address;
    this.#port = port;
    this.#credentials = credentials;
    this.#connectTimeoutMs = connectTimeoutMs;
  }

  /**
   * Asks for everything a cycle needs, in one round trip.
   *
   * @throws when the connection fails. An error reply, or an answer that cannot be read, is a refusal: the server lives.
   */
  async ask(): Promise<RedisAnswer> {
    try {
      return await this.#ask();
    } catch (failure) {
      const word = await this.#unaskedWord();
      if (word?.startsWith("-")) return { refusal: refusalOf(word.slice(1)) };
      throw failure;
    }
  }

  async #ask(): Promise<RedisAnswer> {
    const watched = this.watchedAddresses();
    const pipeline = this.#open().pipeline();
    pipeline
      .call(...selectOwnDatabase())
      .call("INFO", ...infoSections)
      .call("GET", epochKey)
      .call("GET", beatKey);
    if (watched.length > 0) pipeline.call("CLIENT", "LIST", "TYPE", "normal");
    const [selected, info, epoch, beat, clients] = (await pipeline.exec()) ?? [];
    const failure = info?.[0] ?? selected?.[0];
    if (failure) {
      if (isReply(failure)) return { refusal: refusalOf(failure.message) };
      throw failure;
    }
    const parsed = readable(String(info?.[1]));
    if ("refusal" in parsed) return parsed;
    const sessions = clients && !clients[0] ? idleSecondsByAddress(String(clients[1]), watched) : undefined;
    return {
      info: { ...parsed, epoch: numberFrom(epoch), beat: numberFrom(beat), sessionsIdleSeconds: sessions },
    };
  }

  /**
   * Runs commands in order, in one round trip, and returns their replies.
   *
   * @throws when a command is refused or no answer comes within `timeoutMs`, naming server and command. The connection is reset
   *   then: what the kernel has not delivered must not be executed later, for example when a cut of the network ends.
   */
  async run(commands: [string, ...string[]][], timeoutMs: number): Promise<unknown[]> {
    const client = this.#open();
    const pipeline = client.pipeline();
    for (const [name, ...args] of commands) pipeline.call(name, ...args);
    const replies = await withLimit(pipeline.exec(), timeoutMs, () => {
      if (this.#client === client) this.drop();
      return this.#name(commands);
    });
    return (replies ?? []).map(([error, reply], position) => {
      if (error)
        throw new Error(`${this.#name([commands[position] ?? [""]])}: ${error.message}`, { cause: error });
      return reply;
    });
  }

  knock(): Promise<Knock> {
    return knock(this.#address, this.#port, this.#connectTimeoutMs);
  }

  /**
   * What the server says to a connection that does not say anything: a server with too many clients says so, and closes. Over
   * the connection above that word is lost, because its login is written into a closed connection.
   */
  async #unaskedWord(): Promise<string | undefined> {
    if (this.#isClosed) return undefined;
    return unaskedWord(this.#address, this.#port, this.#connectTimeoutMs / 4);
  }

  /** Resets the connection: commands that are still on their way in the kernel are never executed. */
  drop(): void {
    const client = this.#client;
    this.#client = undefined;
    if (!client) return;
    // First the reset: after the orderly end that `disconnect` begins, Node neither resets nor closes the socket.
    if (client.stream) resetConnection(client.stream);
    client.disconnect();
  }

  close(): void {
    this.#isClosed = true;
    this.drop();
  }

  #name(commands: string[][]): string {
    return `redis at ${this.#address}:${this.#port}, ${commands.map(shortly).join("; ")}`;
  }

  #open(): Redis {
    if (this.#isClosed) throw new Error(`redis at ${this.#address}:${this.#port}: closed by recovery`);
    if (this.#client) return this.#client;
    const client = new Redis({
      host: this.#address,
      port: this.#port,
      username: this.#credentials.redisUser,
      password: this.#credentials.redisPassword,
      connectionName: "barton-recovery",
      connectTimeout: this.#connectTimeoutMs,
      // RESP2 and no client info: recovery's ACL user may run a handful of commands only.
      protocol: 2,
      disableClientInfo: true,
      enableReadyCheck: false,
      maxRetriesPerRequest: null,
      autoResendUnfulfilledCommands: false,
      retryStrategy: () => null,
    });
    // Every failure also rejects the commands under way; without a listener ioredis would print it.
    client.on("error", () => {});
    client.on("end", () => {
      if (this.#client === client) this.#client = undefined;
    });
    this.#client = client;
    return client;
  }
}

/** A command in one line; scripts are left out. */
export function shortly(words: string[]): string {
  return words.map((word) => (word.includes("\n") ? "(script)" : word)).join(" ");
}

/** What INFO says; a missing field is a refusal that names it. */
function readable(text: string): ReturnType<typeof parseRedisInfo> | { refusal: Refusal } {
  try {
    return parseRedisInfo(text);
  } catch (error) {
    return { refusal: { kind: "unreadable", text: (error as Error).message } };
  }
}

/** True for an error reply of redis, false for a failed connection. */
export function isReply(error: unknown): boolean {
  return error instanceof Error && error.name === "ReplyError";
}

/** The number in a key, 0 where there is no such key; undefined when it cannot be read or is no whole number. */
export function numberFrom(reply: [Error | null, unknown] | undefined): number | undefined {
  if (!reply || reply[0]) return undefined;
  const text = String(reply[1] ?? 0);
  const number = Number(text);
  return /^\d+$/.test(text) && Number.isSafeInteger(number) ? number : undefined;
}

function withLimit<T>(promise: Promise<T>, ms: number, what: () => string): Promise<T> {
  let timer: NodeJS.Timeout | undefined;
  const limit = new Promise<never>((_, reject) => {
    timer = setTimeout(() => reject(new Error(`${what()}: no answer within ${ms} ms`)), ms);
  });
  return Promise.race([promise, limit]).finally(() => clearTimeout(timer));
}
