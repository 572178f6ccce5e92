/**
 * What recovery tells a proxy, and what it asks it, as verbs. Every verb resolves when the proxy has confirmed it.
 *
 * Each verb @throws when the proxy refuses it or does not answer within a second. It may be carried out all the same, also much later:
 * a process that hung reads what it was sent when it goes on. What holds then is written at `bar`.
 */
import type { ServerChange } from "../decide/steps.ts";
import type { Session } from "../observe/proxy-stat.ts";
import type { RedisMachine } from "../topology.ts";

/** Where a server listens. */
export interface Place {
  address: string;
  port: number;
}

/** The traffic line of one shard that leads to one machine's server. */
export interface Line {
  shard: number;
  machine: RedisMachine;
}

export interface ProxyVerbs {
  /** No new session goes to these servers. Those that they have go on. */
  takeOut(lines: Line[]): Promise<void>;

  /**
   * The same, for good (rule 2): from now on the proxy refuses to send the shard's traffic anywhere by a command of an earlier
   * generation. So a command that arrives late cannot use a server again that was fenced meanwhile.
   */
  bar(line: Line): Promise<void>;

  /** Does the proxy say, when asked now, that the server is out? */
  isOut(line: Line): Promise<boolean>;

  /** The sessions with the server, also those that are still connecting to it. */
  sessionsWith(line: Line): Promise<Session[]>;

  /** Cuts these sessions; one that has ended by itself is as good as cut. */
  cut(sessions: Session[]): Promise<void>;

  /** Cuts every session with the server, also those that are still connecting to it, by one command. */
  cutAll(line: Line): Promise<void>;

  /** Sends the shard's traffic to this machine's server at `place`, and to no other. */
  sendTraffic(line: Line, place: Place): Promise<void>;

  /** Sets lines as they should be, those first that take servers out. */
  change(changes: ServerChange[]): Promise<void>;

  /** Makes what haproxy.cfg alone says so again: these frontends listen, and the traffic of these shards waits at `hold`. */
  reopen(frontends: string[], holds: number[]): Promise<void>;

  /** app may use the proxy. */
  register(): Promise<void>;

  /** app sends new connections to the twin; those that the proxy has go on. */
  drain(): Promise<void>;

  /** app does not use the proxy any more. */
  unregister(): Promise<void>;

  /** The process that answers: another one after a restart or a reload. */
  processId(): Promise<string | undefined>;

  /** The next verb makes a new connection. */
  reconnect(): void;
}
