/** Looks at the proxies, at app's choice and at the servers' roles several times a second, independently of recovery. */
import { createWriteStream, type WriteStream } from "node:fs";
import { join } from "node:path";
import { setTimeout as delay } from "node:timers/promises";
import { serversBin } from "../../../lab/image/servers.ts";
import type { Lab } from "../../../lab/lab.ts";
import { proxyMachines, redisMachines } from "../../../recovery/topology.ts";
import { now } from "../history.ts";
import type { Observation } from "../record.ts";
import { enabledServers, tables, usedProxies } from "./haproxy-tables.ts";
import { keepAlive } from "./kept-alive.ts";
import { adminSocket, askHaproxy, pathInside } from "./sockets.ts";

/** From one look to the next, in milliseconds. */
const lookMs = 200;

export interface ObserverOptions {
  lab: Lab;
  shards: { index: number; redisPort: number }[];
  /** Of the recovery user, who may ask a server for its role. */
  credentials: { user: string; password: string };
  file: string;
}

export class Observer {
  readonly #options: ObserverOptions;
  readonly #file: WriteStream;
  readonly #stopping = new AbortController();
  readonly #work: Promise<unknown>;

  /** Begins at once. */
  constructor(options: ObserverOptions) {
    this.#options = options;
    this.#file = createWriteStream(options.file, { mode: 0o600 });
    this.#work = Promise.all([this.#watchProxies(), ...this.#watchRoles()]);
    this.#work.catch(() => {}); // whoever stops this sees it
  }

  async stop(): Promise<void> {
    this.#stopping.abort();
    await this.#work;
    await new Promise<void>((resolve) => this.#file.end(resolve));
  }

  #note(observation: Observation): void {
    if (!this.#stopping.signal.aborted) this.#file.write(`${JSON.stringify(observation)}\n`);
  }

  async #watchProxies(): Promise<void> {
    const { signal } = this.#stopping;
    while (!signal.aborted) {
      await Promise.all([...proxyMachines, "app" as const].map((machine) => this.#lookAt(machine)));
      await delay(lookMs, undefined, { signal }).catch(() => {});
    }
  }

  async #lookAt(source: "haproxy1" | "haproxy2" | "app"): Promise<void> {
    const path = pathInside(this.#options.lab, source, adminSocket);
    const askedAt = now();
    const text = path && (await askHaproxy(path, tables, lookMs));
    if (!text) return;
    const at = now();
    if (source === "app") this.#note({ at, askedAt, source, uses: usedProxies(text) });
    else this.#note({ at, askedAt, source, enabled: enabledServers(text) });
  }

  #watchRoles(): Promise<void>[] {
    const { lab, shards, credentials } = this.#options;
    return redisMachines.flatMap((machine) =>
      shards.map(({ index, redisPort }) =>
        keepAlive(
          {
            lab,
            machine,
            env: { REDISCLI_AUTH: credentials.password },
            command: (leader) => [
              ...[
                "nsenter",
                `--target=${leader}`,
                "--net",
                "--",
                join(serversBin(), "redis-cli"),
                "-p",
                String(redisPort),
              ],
              ...["--user", credentials.user, "--no-auth-warning", "-r", "-1", "-i", String(lookMs / 1000)],
              ...["INFO", "replication"],
            ],
            onLine: (line) => {
              const role = /^role:(\w+)/.exec(line)?.[1];
              if (role) this.#note({ at: now(), source: machine, shard: index, role });
            },
          },
          this.#stopping.signal,
        ),
      ),
    );
  }
}
