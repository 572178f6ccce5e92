/** The monitor's connections in the model: commands that arrive late, or never, or whose answer is lost. */

import type { Remote } from "../../recovery/cloud/remote.ts";
import type { ProxyLink } from "../../recovery/observe/proxy-link.ts";
import type { RedisLink } from "../../recovery/observe/redis-link.ts";
import type { Life, SimulatedCloud } from "./cloud.ts";
import type { HaProxy } from "./proxy.ts";
import type { RedisServer } from "./redis-server.ts";
import type { World } from "./world.ts";

interface Call<T> {
  world: World;
  life: Life;
  target: RedisServer | HaProxy | undefined;
  run: () => T;
  timeoutMs: number;
  /** A stopped process carries it out when it goes on, long after the caller has given up. */
  keepsWhileHung: boolean;
}

/** One request and its answer. Whoever dies in between has sent it all the same. */
function call<T>({ world, life, target, run, timeoutMs, keepsWhileHung }: Call<T>): Promise<T> {
  const { scheduler } = world;
  const monit = world.current("monit");
  return new Promise((resolve, reject) => {
    const settle = (delayMs: number, how: () => void) =>
      scheduler.resolveIn(delayMs, () => life.ended || how());
    const lost = () => settle(timeoutMs, () => reject(new Error(`no answer within ${timeoutMs} ms`)));
    const carryOut = (): (() => void) => {
      try {
        const result = run();
        return () => resolve(result);
      } catch (error) {
        return () => reject(error);
      }
    };
    scheduler.in(1, () => {
      if (!target || !world.reaches(monit, target.instance)) return lost();
      const { instance } = target;
      if (!target.running) return settle(1, () => reject(new Error("connection refused")));
      if (!target.hung) {
        const answer = carryOut();
        return world.reaches(instance, monit) ? settle(1, answer) : lost();
      }
      if (keepsWhileHung) whenContinued(world, target, carryOut);
      return lost();
    });
  });
}

function whenContinued(world: World, target: RedisServer | HaProxy, run: () => void): void {
  world.scheduler.in(100, () => {
    if (!target.running) return;
    if (target.hung) whenContinued(world, target, run);
    else run();
  });
}

/** A connection to one redis server. */
export function redisLink(
  world: World,
  life: Life,
  cloud: SimulatedCloud,
  target: RedisServer | undefined,
): RedisLink {
  const link: Pick<RedisLink, "run" | "ask" | "drop"> = {
    async run(commands, timeoutMs) {
      if (world.mutations.promotionAsksCloud && commands[0]?.[1] === "NO") await cloud.api(life).describe();
      const run = () =>
        commands.map((command) => redisCommand(world, target as RedisServer, command, commands));
      return call({ world, life, target, run, timeoutMs, keepsWhileHung: true });
    },
    async ask() {
      const run = () => ({ info: (target as RedisServer).info([]) });
      return call({ world, life, target, run, timeoutMs: 1_000, keepsWhileHung: false });
    },
    drop() {},
  };
  return link as RedisLink;
}

function redisCommand(
  world: World,
  server: RedisServer,
  [name, ...args]: string[],
  batch: string[][],
): unknown {
  if (server.loading) throw new Error("LOADING Redis is loading the dataset in memory");
  if (name === "ROLE") return [server.role];
  if (name === "INCR" && server.role === "master") return server.raiseBeat();
  world.say(() => `  ${server.name}: ${name} ${args.join(" ")}`);
  if (name === "REPLICAOF" && args[0] === "NO")
    server.promote("recovery", Number(batch.find(([other]) => other === "SET")?.[2]));
  else if (name === "REPLICAOF") server.follow(String(args[0]), Number(args[1]));
  else if (name === "SET" && server.role === "master") server.setEpoch(Number(args[1]));
  else if (name === "SET" || name === "INCR")
    throw new Error("READONLY You can't write against a read only replica.");
  else throw new Error(`the model of redis does not know ${name}`);
  return "OK";
}

/** A connection to one proxy's runtime API. */
export function proxyLink(world: World, life: Life, target: HaProxy | undefined): ProxyLink {
  const proxy = target as HaProxy;
  const ask = <T>(run: () => T, timeoutMs: number) =>
    call({ world, life, target, run, timeoutMs, keepsWhileHung: false });
  const link: Pick<ProxyLink, "tell" | "ask" | "sessions" | "cut" | "processId" | "drop"> = {
    tell: (commands, timeoutMs) =>
      ask(() => {
        for (const command of commands) {
          world.say(() => `  ${proxy.instance.id}: ${command}`);
          proxy.command(command);
        }
        const isKept =
          !world.mutations.restoresFenced || !commands.some((command) => / maint$/.test(command));
        if (isKept) proxy.keep();
      }, timeoutMs),
    ask: () => ask(() => ({ view: proxy.view() }), 200),
    sessions: (timeoutMs) => ask(() => proxy.listSessions(), timeoutMs),
    cut: (sessions, timeoutMs) => ask(() => proxy.cut(sessions.map(({ id }) => id)), timeoutMs),
    processId: (timeoutMs) => ask(() => proxy.processId, timeoutMs),
    drop() {},
  };
  return link as ProxyLink;
}

/** ssh to a proxy: reading its configuration, or installing another one and reloading. */
export function remote(world: World, life: Life): Remote {
  return {
    run(address, _script, input) {
      const target = world.instanceAt(address)?.proxy;
      const run = () => {
        const proxy = target as HaProxy;
        if (input === undefined) return proxy.configuration;
        world.say(() => `  ${proxy.instance.id}: new configuration, reload`);
        proxy.configuration = input;
        proxy.crash();
        proxy.start();
        return "";
      };
      return call({ world, life, target, run, timeoutMs: 1_500, keepsWhileHung: false });
    },
  };
}
