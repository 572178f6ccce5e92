/**
 * The monitor's connections in the model. As TCP has it: what was sent into a cut arrives when the cut ends, and what a
 * stopped process was sent is carried out when it goes on, also when its sender has given up or died meanwhile.
 */
import type { Remote } from "../../recovery/cloud/remote.ts";
import { InTouchSince } from "../../recovery/observe/hearing.ts";
import type { Knock } from "../../recovery/observe/knock.ts";
import type { AppConnection, Links, ProxyConnection, RedisConnection } from "../../recovery/observe/links.ts";
import { epochKey } from "../../recovery/observe/own-keys.ts";
import { FailingSince } from "../../recovery/observe/since.ts";
import { redisMachines } from "../../recovery/topology.ts";
import type { SimulatedCloud } from "./cloud.ts";
import type { Life } from "./life.ts";
import type { Process } from "./process.ts";
import type { HaProxy } from "./proxy.ts";
import type { RedisServer } from "./redis-server.ts";
import type { Instance, World } from "./world.ts";

/** Between two tries of the kernel to send what was not acknowledged, at first; and until it gives up, in all. */
const retransmissionMs = { first: 200, last: 6_400 } as const;

/** The end of a connection that the monitor has. */
export interface Near {
  world: World;
  life: Life;
  cloud: SimulatedCloud;
  /** The machine that the monitor runs on. */
  from: Instance;
}

interface Request {
  commands: (() => unknown)[];
  /** What was answered so far; an `Error` where the command was refused. */
  replies: unknown[];
  /** When it may arrive. */
  atMs: number;
  resolve: (replies: unknown[]) => void;
  reject: (error: Error) => void;
  timer?: { isCalledOff: boolean };
}

/** One TCP connection, and what is under way on it. */
class Stream {
  readonly #near: Near;
  readonly #address: string;
  readonly #target: Process | undefined;
  /** With which process it is made; undefined while it is not. */
  #processId: string | undefined;
  /** What the kernel here has not got rid of, in its order. */
  #unsent: Request[] = [];
  #isWaiting = false;
  #retryMs: number = retransmissionMs.first;
  #lastMs = 0;
  readonly #unanswered = new Set<Request>();
  isOver = false;

  constructor(near: Near, address: string, target: Process | undefined) {
    this.#near = near;
    this.#address = address;
    this.#target = target;
  }

  send(commands: (() => unknown)[], timeoutMs?: number, onTimeout?: () => void): Promise<unknown[]> {
    const { world, life } = this.#near;
    return new Promise((resolve, reject) => {
      const request: Request = { commands, replies: [], atMs: this.#momentOfArrival(), resolve, reject };
      this.#unanswered.add(request);
      this.#unsent.push(request);
      if (timeoutMs !== undefined) {
        request.timer = world.scheduler.in(timeoutMs, () =>
          life.reach(() => {
            this.#end(request, () => reject(this.#error(`no answer within ${timeoutMs} ms`)));
            onTimeout?.();
          }),
        );
      }
      world.scheduler.in(request.atMs - world.nowMs, () => this.#arrive());
    });
  }

  /**
   * Its owner resets it. Packets that are on their way still arrive, but what the kernel has to send again is gone with the connection,
   * and a server that makes a command wait (`CLIENT PAUSE`) forgets it. What a process that hangs has received, it still executes.
   */
  end(why: string): void {
    this.isOver = true;
    const { nowMs } = this.#near.world;
    const isMade = this.#processId !== undefined;
    this.#unsent = this.#unsent.filter(({ atMs }) => isMade && !this.#isWaiting && atMs > nowMs);
    for (const request of this.#unanswered) this.#end(request, () => request.reject(this.#error(why)));
  }

  #arrive(): void {
    const { world, from } = this.#near;
    const target = this.#target;
    while (!this.#isWaiting && this.#unsent[0] && this.#unsent[0].atMs <= world.nowMs) {
      const isNew = this.#processId === undefined;
      if (!target || !(isNew ? world.talks(from, target.instance) : world.reaches(from, target.instance))) {
        if (this.isOver) this.#unsent = [];
        else if (isNew) this.#failToConnect();
        else this.#retryLater();
        return;
      }
      if (!target.running || (!isNew && this.#processId !== target.processId)) {
        this.#reset();
        return;
      }
      this.#processId = target.processId;
      this.#retryMs = retransmissionMs.first;
      this.#carryOut(target, this.#unsent.shift() as Request);
    }
  }

  #retryLater(): void {
    if (this.#retryMs > retransmissionMs.last) return;
    this.#isWaiting = true;
    this.#near.world.scheduler.in(this.#retryMs, () => {
      this.#isWaiting = false;
      this.#arrive();
    });
    this.#retryMs *= 2;
  }

  #carryOut(target: Process, request: Request): void {
    const { commands, replies } = request;
    while (replies.length < commands.length) {
      if (!target.running) return;
      if (target.hung) {
        const read = () => this.#carryOut(target, request);
        target.inbox.put({ connection: this, read, lost: () => this.#reset() });
        return;
      }
      const reply = attempt(commands[replies.length] as () => unknown);
      if (reply === waits) {
        this.#isWaiting = true;
        this.#near.world.scheduler.in(blockedMs, () => {
          this.#isWaiting = false;
          if (this.isOver) return;
          this.#carryOut(target, request);
          this.#arrive();
        });
        return;
      }
      replies.push(reply);
      if (target.hangsInBatchMs !== undefined && commands.length > 1) this.#near.world.hangInBatch(target);
    }
    this.#answer(target, request, retransmissionMs.first);
  }

  #answer(target: Process, request: Request, retryMs: number): void {
    const { world, life, from } = this.#near;
    if (!this.#unanswered.has(request)) return;
    if (!world.reaches(target.instance, from)) {
      if (retryMs <= retransmissionMs.last)
        world.scheduler.in(retryMs, () => this.#answer(target, request, retryMs * 2));
      return;
    }
    world.scheduler.in(this.#momentOfArrival() - world.nowMs, () =>
      life.reach(() => this.#end(request, () => request.resolve(request.replies))),
    );
  }

  #end(request: Request, settle: () => void): void {
    if (!this.#unanswered.delete(request)) return;
    if (request.timer) request.timer.isCalledOff = true;
    settle();
  }

  #failToConnect(): void {
    const { world, life } = this.#near;
    this.#unsent = [];
    this.#isWaiting = true;
    const { connectTimeoutMs } = world.topology.detection;
    world.scheduler.in(connectTimeoutMs, () => life.reach(() => this.end("no connection")));
  }

  #reset(): void {
    const { world, life } = this.#near;
    this.#unsent = [];
    this.#isWaiting = true;
    world.scheduler.in(this.#momentOfArrival() - world.nowMs, () =>
      life.reach(() => this.end("connection refused or reset")),
    );
  }

  /** Nothing overtakes what was sent before. */
  #momentOfArrival(): number {
    const { world, from } = this.#near;
    this.#lastMs = Math.max(this.#lastMs, world.nowMs + world.latencyMs(from, this.#target?.instance));
    return this.#lastMs;
  }

  #error(why: string): Error {
    return new Error(`${this.#address}: ${why}`);
  }
}

/** A connection that is made whenever it is needed. */
class Connection {
  readonly #near: Near;
  readonly #address: string;
  readonly #target: Process | undefined;
  #stream: Stream | undefined;
  #isClosed = false;
  /** When the last look was asked for, and whether it was answered. */
  askedMs = Number.NEGATIVE_INFINITY;
  isIdle = false;
  /** Looks that wait for an answer: steps look too, beside the watcher. */
  #looks = 0;
  /** How many were made. */
  count = 0;

  constructor(near: Near, address: string, target: Process | undefined) {
    this.#near = near;
    this.#address = address;
    this.#target = target;
  }

  /** Sends commands behind each other. The answers have an `Error` for each that was refused. */
  send(commands: (() => unknown)[], timeoutMs?: number, onTimeout?: () => void): Promise<unknown[]> {
    if (this.#isClosed) return Promise.reject(new Error(`${this.#address}: closed by recovery`));
    if (!this.#stream || this.#stream.isOver) {
      this.#stream = new Stream(this.#near, this.#address, this.#target);
      this.count += 1;
    }
    return this.#stream.send(commands, timeoutMs, onTimeout);
  }

  /** A look. */
  async ask(question: () => unknown): Promise<unknown> {
    this.askedMs = this.#near.world.nowMs;
    this.isIdle = false;
    this.#looks += 1;
    const [answer] = await this.send([question]).finally(() => {
      this.#looks -= 1;
    });
    this.isIdle = this.#looks === 0;
    if (answer instanceof Error) throw answer;
    return answer;
  }

  /** Ends the connection; whatever waits for an answer gets none. */
  drop(): void {
    this.isIdle = false;
    this.#stream?.end("closed by recovery");
  }

  close(): void {
    this.#isClosed = true;
    this.drop();
  }

  /** A bare connection attempt; `isLoud`: some other process of the machine, which always runs, may answer too. */
  async knock(isLoud: boolean): Promise<Knock> {
    const { world, life, from } = this.#near;
    const target = this.#target;
    const { connectTimeoutMs } = world.topology.detection;
    const isThere = target !== undefined && world.talks(from, target.instance);
    await life.clock.sleep(isThere ? 2 * world.latencyMs(from, target.instance) : connectTimeoutMs);
    if (!isThere) return "silent";
    return target.running || isLoud ? "open" : "refused";
  }
}

/** What was answered, if no command was refused. @throws the first refusal. */
function unlessRefused(replies: unknown[]): unknown[] {
  const refusal = replies.find((reply) => reply instanceof Error);
  if (refusal) throw refusal;
  return replies;
}

function attempt(command: () => unknown): unknown {
  try {
    return command();
  } catch (error) {
    return error;
  }
}

/** Whom a look was asked last, and whether he owes the answer. */
export interface Party {
  /** `redis1/1`, or a proxy's name, or app. */
  name: string;
  connection: Pick<Connection, "askedMs" | "isIdle">;
}

/** All links of one monitor. */
export class SimulatedLinks implements Links {
  readonly #near: Near;
  /** Those that were made last, by name. */
  readonly parties = new Map<string, Party["connection"]>();

  constructor(near: Near) {
    this.#near = near;
  }

  redis(address: string, { index }: { index: number }): RedisConnection {
    const near = this.#near;
    const { world, cloud, life } = near;
    const instance = world.instanceAt(address);
    const target = instance?.servers[index - 1];
    const connection = this.#connect(`${instance?.machine}/${index}`, address, target);
    const link: RedisConnection = {
      watchedAddresses: () => [],
      ask: async () => {
        const question = () => (target as RedisServer).answer(link.watchedAddresses());
        return (await connection.ask(question)) as Awaited<ReturnType<RedisConnection["ask"]>>;
      },
      run: async (commands, timeoutMs) => {
        if (world.mutations.promotionAsksCloud && commands[0]?.[1] === "NO") await cloud.api(life).describe();
        const calls = commands.map(
          (command) => () => redisCommand(world, target as RedisServer, command, commands),
        );
        return unlessRefused(await connection.send(calls, timeoutMs, () => connection.drop()));
      },
      knock: () => connection.knock(false),
      drop: () => connection.drop(),
      close: () => connection.close(),
    };
    return link;
  }

  proxy(address: string): ProxyConnection {
    const { world, life } = this.#near;
    const instance = world.instanceAt(address);
    const target = instance?.proxy;
    const proxy = target as HaProxy;
    const connection = this.#connect(`${instance?.machine}`, address, target);
    const failing = new FailingSince(() => life.clock.now());
    const inTouch = new InTouchSince(() => life.clock.now());
    const drop = () => connection.drop();
    // haproxy's answers have no names: a connection on which one is missing is of no use any more.
    const send = async (commands: (() => unknown)[], timeoutMs: number) =>
      unlessRefused(await connection.send(commands, timeoutMs, drop));
    const tellGenerations = () => ({ ...proxy.generations });
    let generations: Record<number, number> = {};
    return {
      ask: async () => {
        const look = () => ({ view: proxy.view(), generations: tellGenerations() });
        const answer = (await connection.ask(look)) as ReturnType<typeof look>;
        generations = answer.generations;
        const inTouchSinceMs = inTouch.answered(connection.count, connection.askedMs);
        return { view: { ...sinceSeen(answer.view, failing), inTouchSinceMs } };
      },
      generation: (shard) => generations[shard]?.toString(),
      nextGeneration: async (shard, timeoutMs) => {
        const [, told] = await send([() => proxy.nextGeneration(shard), tellGenerations], timeoutMs);
        generations = told as typeof generations;
      },
      tell: async (commands, timeoutMs) => {
        const fences = commands.some((command) => / maint$/.test(command));
        const keeps = !world.mutations.restoresFenced || !fences;
        const calls = commands.map((command) => () => proxyCommand(world, proxy, command));
        await send([...calls, () => keeps && proxy.keep()], timeoutMs);
      },
      introduce: async (monitor, timeoutMs) => {
        await send([() => proxy.enter(monitor)], timeoutMs);
      },
      sessions: async (timeoutMs) =>
        (await send([() => proxy.listSessions()], timeoutMs))[0] as ReturnType<HaProxy["listSessions"]>,
      cut: async (sessions, timeoutMs) => {
        await send(
          sessions.map(
            ({ id }) =>
              () =>
                proxy.cut([id]),
          ),
          timeoutMs,
        );
      },
      cutAll: async (server, timeoutMs) => {
        const ofServer = () =>
          proxy.listSessions().filter((one) => `${one.backend}/${one.server}` === server);
        await send([() => proxy.cut(ofServer().map(({ id }) => id))], timeoutMs);
      },
      processId: async (timeoutMs) => (await send([() => proxy.processId], timeoutMs))[0] as string,
      knock: () => connection.knock(true),
      drop,
      close: () => connection.close(),
    };
  }

  app(address: string): AppConnection {
    const { world } = this.#near;
    const app = world.instanceAt(address);
    const connection = this.#connect("app", address, app?.app);
    return {
      ask: async () => {
        const question = () => world.clients?.view();
        return { view: (await connection.ask(question)) as NonNullable<ReturnType<typeof question>> };
      },
      knock: () => connection.knock(true),
      drop: () => connection.drop(),
      close: () => connection.close(),
    };
  }

  #connect(name: string, address: string, target: Process | undefined): Connection {
    const connection = new Connection(this.#near, address, target);
    this.parties.set(name, connection);
    return connection;
  }
}

/** The proxy's rows of failures, dated as monit does it: haproxy itself tells whole seconds only. */
function sinceSeen(view: ReturnType<HaProxy["view"]>, failing: FailingSince) {
  for (const [shard, lines] of Object.entries(view.shards)) {
    for (const machine of redisMachines) {
      const { look } = lines[machine].probe;
      const since = failing.since(`probe${shard}/${machine}`, look.silence !== undefined);
      if (look.silence !== undefined) look.sinceMs = since;
    }
  }
  return view;
}

/** Instead of an answer: the server does not go on with this connection yet. */
const waits = Symbol("waits");
/** How often it looks whether it may. */
const blockedMs = 10;

function redisCommand(
  world: World,
  server: RedisServer,
  [name, ...args]: string[],
  batch: string[][],
): unknown {
  const refusal = server.refusal;
  if (refusal) throw new Error(refusal);
  const isWrite = name === "EVAL";
  const epoch = args[2] === epochKey ? Number(args[3]) : undefined;
  if (server.isDiskFull && server.role === "master" && isWrite)
    throw new Error("MISCONF Errors writing to the AOF file: No space left on device");
  if (name === "ROLE") return [server.role];
  if (name === "CLIENT") return clientCommand(world, server, args);
  if (server.pausesWrites && isWrite) return waits;
  if (isWrite && epoch === undefined && server.role === "master") return server.raiseBeat();
  world.say(() => `  ${server.name}: ${name} ${args.join(" ")}`);
  if (name === "REPLICAOF" && args[0] === "NO")
    server.promote("recovery", Number(batch.find((other) => other[3] === epochKey)?.[4]));
  else if (name === "REPLICAOF") server.follow(String(args[0]), Number(args[1]));
  else if (epoch !== undefined && server.role === "master") return server.raiseEpoch(epoch);
  else if (isWrite) throw new Error("READONLY You can't write against a read only replica.");
  else throw new Error(`the model of redis does not know ${name}`);
  return "OK";
}

function clientCommand(world: World, server: RedisServer, [verb, ...args]: string[]): unknown {
  if (verb === "LIST") return server.listSessions();
  if (verb === "KILL") return server.endSession(Number(args[1]));
  server.writesPausedUntilMs = verb === "PAUSE" ? world.nowMs + Number(args[0]) : 0;
  return "OK";
}

function proxyCommand(world: World, proxy: HaProxy, command: string): void {
  world.say(() => `  ${proxy.instance.id}: ${command}`);
  proxy.command(command);
}

/** How long ssh tries. */
const sshMs = 1_500;

/** ssh to a proxy: reading its configuration, or installing another one and reloading. */
export function remote({ world, life, from }: Near): Remote {
  return {
    run(address, script, input) {
      const target = world.instanceAt(address)?.proxy;
      const run = () => {
        const proxy = target as HaProxy;
        if (!script.includes("reload")) return proxy.configuration;
        world.say(() => `  ${proxy.instance.id}: reload`);
        proxy.configuration = input ?? proxy.configuration;
        proxy.crash();
        proxy.start();
        return "";
      };
      return new Promise((resolve, reject) => {
        world.scheduler.in(world.latencyMs(from, target?.instance), () => {
          // The machine's own processes answer, whatever haproxy does.
          if (target && world.talks(from, target.instance)) {
            const text = run();
            world.scheduler.in(1, () => life.reach(() => resolve(text)));
          } else {
            world.scheduler.in(sshMs, () =>
              life.reach(() => reject(new Error(`no answer within ${sshMs} ms`))),
            );
          }
        });
      });
    },
  };
}
