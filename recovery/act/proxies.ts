/** Changes a proxy's server lines, its registration, and its configuration file. */
import type { ServerChange } from "../decide/steps.ts";
import type { ProxyMachine } from "../topology.ts";
import { cutEstablished } from "./fence.ts";
import { addressOf, commandTimeoutMs, proxyOf, type World } from "./world.ts";

/** Applies the changes, those first that take servers out; sessions with a server that was in use are cut. */
export async function setServers(
  world: World,
  { proxy, changes }: { proxy: ProxyMachine; changes: ServerChange[] },
): Promise<void> {
  const told = proxyOf(world, proxy);
  const cutFrom = async (lines: ServerChange[]) => {
    for (const { shard, machine } of lines) await cutEstablished(world, proxy, { shard, machine });
  };
  const turned = changes.filter((change) => change.cut);
  if (turned.length > 0) {
    await told.takeOut(turned);
    await cutFrom(turned);
  }
  await told.change(changes);
  await cutFrom(changes.filter(({ line, ready }) => line === "traffic" && ready === false));
}

/** Makes what haproxy.cfg alone says so again. */
export async function reopen(
  world: World,
  { proxy, frontends, holds }: { proxy: ProxyMachine; frontends: string[]; holds: number[] },
): Promise<void> {
  await proxyOf(world, proxy).reopen(frontends, holds);
}

/** Lets app use the proxy. */
export async function registerProxy(world: World, { proxy }: { proxy: ProxyMachine }): Promise<void> {
  await proxyOf(world, proxy).register();
  world.remember({ event: "registered", proxy });
}

/** For requests that are under way when app has noticed; clients that keep their connection would never end. */
const lastRequestsMs = 1_000;

/** Makes app send new connections to the twin, and gives those that the proxy has a moment to end by themselves. */
export async function drainProxy(world: World, { proxy }: { proxy: ProxyMachine }): Promise<void> {
  await proxyOf(world, proxy).drain();
  // App asks once in each interval.
  await world.clock.sleep(2 * world.topology.detection.intervalMs + lastRequestsMs);
}

/** Makes app give the proxy up: what is still open is cut. */
export async function unregisterProxy(world: World, { proxy }: { proxy: ProxyMachine }): Promise<void> {
  await proxyOf(world, proxy).unregister();
}

const configFile = "/etc/haproxy/haproxy.cfg";

/**
 * Gives a new proxy the running one's configuration file: compared, validated by haproxy itself, put in
 * place and reloaded only if it differs. A new proxy that cannot be configured so serves after some
 * attempts with what the program gave it (see the situation "unconfigured").
 */
export async function copyConfiguration(
  world: World,
  { proxy, from }: { proxy: ProxyMachine; from: ProxyMachine },
): Promise<void> {
  try {
    if (await isOfOlderBuild(world, from)) {
      world.log.info(
        `${from} is of an older build: ${proxy} keeps the configuration that it was launched with`,
      );
      world.remember({ event: "configured", proxy });
      return;
    }
    const running = await world.remote.run(addressOf(world, from), `cat ${configFile}`);
    if (running.trim() === "") throw new Error(`${from}'s ${configFile} is empty`);
    const own = await world.remote.run(addressOf(world, proxy), `cat ${configFile}`);
    if (own !== running) await install(world, proxy, running);
  } catch (error) {
    world.remember({ event: "configuration failed", proxy });
    throw error;
  }
  world.remember({ event: "configured", proxy });
}

/**
 * While a new configuration is rolled out, the running proxy's is the old one. A state that cannot be read now is no
 * reason to leave the new proxy without work: then it gets what the running one has.
 */
async function isOfOlderBuild({ engine, log }: World, proxy: ProxyMachine): Promise<boolean> {
  const built = await engine.topology().catch((error: Error) => {
    log.warn(`whether ${proxy} is of an older build is unknown: ${error.message}`);
    return undefined;
  });
  const { build, wantedBuild } = built?.machines[proxy] ?? {};
  return wantedBuild !== undefined && build !== wantedBuild;
}

const reloadCommand = "systemctl reload-or-restart haproxy";
const reloadTimeoutMs = 5_000;

async function install(world: World, proxy: ProxyMachine, text: string): Promise<void> {
  const part = `${configFile}.part`;
  const script = `set -e; cat > ${part}; haproxy -c -q -f ${part}; mv ${part} ${configFile}; ${reloadCommand}`;
  await reload(world, proxy, script, text);
}

/** Has a new process, with the configuration file as it is, take over from this one; see keep.lua. */
export async function reloadProxy(world: World, { proxy }: { proxy: ProxyMachine }): Promise<void> {
  await reload(world, proxy, reloadCommand);
}

async function reload(world: World, proxy: ProxyMachine, script: string, input?: string): Promise<void> {
  const told = proxyOf(world, proxy);
  const before = await told.processId();
  await world.remote.run(addressOf(world, proxy), script, input);
  // The old process goes on answering for a moment; what it is told would be lost with it.
  const deadlineMs = world.clock.now() + reloadTimeoutMs;
  for (let now: string | undefined = before; now === before || now === undefined; ) {
    if (world.clock.now() > deadlineMs)
      throw new Error(`${proxy}'s haproxy did not reload within ${reloadTimeoutMs} ms`);
    await world.clock.sleep(20);
    told.reconnect();
    now = await told.processId().catch(() => undefined);
  }
  await world.board.refresh([], commandTimeoutMs);
}
