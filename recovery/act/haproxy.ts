/** The verbs in haproxy's words: the only file here that knows commands of its runtime API. */
import { holdAddress } from "../decide/rules/proxy-changes.ts";
import { frontendName, holdName, lineName, type ServerChange } from "../decide/steps.ts";
import type { ProxyConnection } from "../observe/links.ts";
import { counterpartOf } from "../topology.ts";
import type { Line, Place, ProxyVerbs } from "./proxy.ts";

/** The proxy behind this connection; each verb may take `timeoutMs`. */
export function haproxy(link: ProxyConnection, timeoutMs: number): ProxyVerbs {
  const tell = (commands: string[]) => link.tell(commands, timeoutMs);
  const setSelf = (state: string) => tell([`set server registered/self state ${state}`]);
  return {
    takeOut: (lines) => tell(lines.map(out)),
    // One behind the other on one connection: the server is out before the generation ends.
    bar: async (line) => {
      await Promise.all([tell([out(line)]), link.nextGeneration(line.shard, timeoutMs)]);
    },
    isOut: async ({ shard, machine }) => {
      const answer = await link.ask();
      return "view" in answer && answer.view.shards[shard]?.[machine].traffic.maintenance === true;
    },
    sessionsWith: async (line) => {
      const sessions = await link.sessions(timeoutMs);
      return sessions.filter(({ backend, server }) => `${backend}/${server}` === nameOf(line));
    },
    cut: (sessions) => link.cut(sessions, timeoutMs),
    cutAll: (line) => link.cutAll(nameOf(line), timeoutMs),
    sendTraffic: (line, place) =>
      tell([out({ ...line, machine: counterpartOf(line.machine) }), ...use(link, line, place)]),
    change: (changes) => tell(changes.flatMap((change) => commandsOf(link, change))),
    reopen: (frontends, holds) => tell([...holds.flatMap(holdCommands), ...frontends.map(enable)]),
    register: () => tell(ready("registered/self")),
    drain: () => setSelf("drain"),
    unregister: () => setSelf("maint"),
    processId: () => link.processId(timeoutMs),
    reconnect: () => link.drop(),
  };
}

const nameOf = (line: Line) => lineName({ ...line, line: "traffic" });
const outOf = (server: string) => `set server ${server} state maint`;
const out = (line: Line) => outOf(nameOf(line));
const enable = (frontend: string) => `enable ${frontendName(frontend)}`;
const moved = (server: string, { address, port }: Place) =>
  `set server ${server} addr ${address} port ${port}`;

/**
 * For a server without checks, whatever somebody did to it: `state ready` ends maintenance and draining, but leaves a
 * weight of 0 and a health that was set by hand.
 */
function ready(server: string): string[] {
  return ["weight 100%", "health up", "state ready"].map((what) => `set server ${server} ${what}`);
}

/**
 * Lets traffic go to a server, at its present place or at another one. One command of keep.lua, which refuses it if the shard's
 * generation is another one by now. A proxy of an older build has no generations, and gets haproxy's own commands.
 */
function use(link: ProxyConnection, line: Line, place: Place | undefined): string[] {
  const name = nameOf(line);
  const generation = link.generation(line.shard);
  if (generation !== undefined) {
    const words = ["use server", generation, name, place?.address, place?.port];
    return [words.filter((word) => word !== undefined).join(" ")];
  }
  return [...(place ? [outOf(name), moved(name, place)] : []), ...ready(name)];
}

function commandsOf(link: ProxyConnection, change: ServerChange): string[] {
  const { line, address, ready: wanted } = change;
  const name = lineName(change);
  if (line === "traffic" && wanted === true) return use(link, change, address);
  return [
    // Out before it moves: what was found out about the old address must not count for the new one.
    ...(address ? [outOf(name), moved(name, address)] : []),
    ...(wanted === true ? [`set server ${name} state ready`] : []),
    ...(wanted === false ? [outOf(name)] : []),
  ];
}

/** Never in maintenance: a moment without `hold` would be an error. */
function holdCommands(shard: number): string[] {
  const name = holdName(shard);
  return [moved(name, holdAddress), ...ready(name)];
}
