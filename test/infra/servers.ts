/** Real redis and haproxy processes on the loopback, for integration tests. */
import { type ChildProcess, execFile, execFileSync, spawn } from "node:child_process";
import { createSocket } from "node:dgram";
import { once } from "node:events";
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { connect, createServer, type Socket } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { promisify } from "node:util";
import { redisConf, shardConf, usersAcl } from "../../infra/roles/redis/role.ts";

/** The program behind the redis servers: `BARTON_TEST_ENGINE=valkey` runs the integration tests with the other engine. */
export const redisServer = `${process.env.BARTON_TEST_ENGINE ?? "redis"}-server`;

export const keepScript = join(import.meta.dirname, "../../infra/roles/haproxy/keep.lua");
export const cutScript = join(import.meta.dirname, "../../infra/roles/app/cut.lua");

/** The default settings of failure detection. */
export const detection = {
  intervalMs: 200,
  fastIntervalMs: 50,
  connectTimeoutMs: 200,
  failures: 3,
  stallMs: 4000,
};

export const passwords = {
  clientPassword: "client-password-for-tests",
  replicationPassword: "replication-password-for-tests",
  recoveryPassword: "recovery-password-for-tests",
};

/** What a redis machine with this much memory (MiB) and so many servers computes when it boots. */
export function memoryLimits(machineMib: number, servers: number): string {
  const script = join(import.meta.dirname, "../../infra/roles/redis/memory-limits");
  return execFileSync("sh", [script, String(machineMib), String(servers)], { encoding: "utf8" });
}

/** `count` ports that nobody listens on at any loopback address, just now. */
export async function freePorts(count: number): Promise<number[]> {
  const servers = await Promise.all(
    Array.from({ length: count }, async () => {
      const server = createServer().listen(0, "0.0.0.0");
      await once(server, "listening");
      return server;
    }),
  );
  const ports = servers.map((server) => (server.address() as { port: number }).port);
  await Promise.all(servers.map((server) => new Promise((done) => server.close(done))));
  return ports;
}

/** Asks until `ready` holds; fails after `limitMs` with what was seen last. */
export async function until<T>(
  what: string,
  ask: () => Promise<T>,
  ready: (seen: T) => boolean,
  limitMs = 10_000,
) {
  const end = Date.now() + limitMs;
  let seen: T | unknown;
  do {
    try {
      const value = await ask();
      seen = value;
      if (ready(value)) return value;
    } catch (error) {
      seen = error;
    }
    await new Promise((next) => setTimeout(next, 10));
  } while (Date.now() < end);
  throw new Error(
    `${what}: not within ${limitMs} ms; last seen: ${seen instanceof Error ? seen.message : JSON.stringify(seen)}`,
  );
}

/** A test's folder and processes, all gone after `close`. */
export class Workbench {
  readonly folder = mkdtempSync(join(tmpdir(), "barton-servers-"));
  private readonly processes: ChildProcess[] = [];

  start(command: string, args: string[], cwd = this.folder): ChildProcess & { pid: number } {
    const child = spawn(command, args, { cwd, stdio: ["ignore", "pipe", "pipe"] });
    if (child.pid === undefined) throw new Error(`${command} did not start: run scripts/setup first`);
    let said = "";
    for (const stream of [child.stdout, child.stderr]) stream?.on("data", (text) => (said += text));
    child.on("exit", (code) => {
      if (code) console.error(`${command} ${args.join(" ")} ended with status ${code}:\n${said}`);
    });
    this.processes.push(child);
    return child as ChildProcess & { pid: number };
  }

  write(name: string, content: string): string {
    const path = join(this.folder, name);
    writeFileSync(path, content);
    return path;
  }

  async close(): Promise<void> {
    await Promise.all(this.processes.map((child) => end(child)));
    rmSync(this.folder, { recursive: true, force: true });
  }

  /** A redis server from the role's own templates, at `address`; `settings` come on top (`--maxclients`, `1`). */
  startRedis(
    name: string,
    address: string,
    port: number,
    ...settings: string[]
  ): ChildProcess & { pid: number } {
    for (const kind of ["data", "run"]) mkdirSync(join(this.folder, `${name}-${kind}`), { recursive: true });
    const aclFile = this.write(`${name}.acl`, usersAcl(passwords));
    const commonFile = this.write(
      `${name}-common.conf`,
      redisConf({
        bind: address,
        aclFile,
        memoryFile: this.write(`${name}-memory.conf`, memoryLimits(4096, 2)),
        replicationPassword: passwords.replicationPassword,
      }),
    );
    const conf = shardConf({
      port,
      commonFile,
      dataDir: join(this.folder, `${name}-data`),
      runDir: join(this.folder, `${name}-run`),
    });
    return this.start(redisServer, [this.write(`${name}.conf`, conf), ...settings]);
  }

  /** haproxy in the foreground; without root the lines that need it are left out. */
  startHaproxy(name: string, config: string): ChildProcess & { pid: number } {
    const text = process.getuid?.() === 0 ? config : config.replace(/^ {2}(chroot|user|group) .*\n/gm, "");
    return this.start("haproxy", ["-db", "-f", this.write(`${name}.cfg`, text)]);
  }
}

/** Ends a process that may be stopped (SIGSTOP), and waits for it. */
export async function end(child: ChildProcess): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return;
  const gone = once(child, "exit");
  child.kill("SIGKILL");
  await gone;
}

/** Sends one line to haproxy's runtime API (a socket's path, or host and port) and returns its answer. */
export async function runtimeApi(
  target: string | { host: string; port: number },
  command: string,
): Promise<string> {
  const socket = typeof target === "string" ? connect(target) : connect(target);
  socket.write(`${command}\n`);
  return (await readToEnd(socket)).trim();
}

async function readToEnd(socket: Socket): Promise<string> {
  let text = "";
  socket.on("data", (data) => {
    text += data;
  });
  await once(socket, "close");
  return text;
}

/** `show stat` as rows: `stat("probe1/redis1").check_status`. */
export async function stats(target: string | { host: string; port: number }) {
  const [header = "", ...lines] = (await runtimeApi(target, "show stat")).replace(/^# /, "").split("\n");
  const columns = header.split(",");
  const rows = lines.map((line) => Object.fromEntries(line.split(",").map((cell, i) => [columns[i], cell])));
  return (server: string) => {
    const row = rows.find((cells) => `${cells.pxname}/${cells.svname}` === server);
    if (!row) throw new Error(`haproxy has no ${server}`);
    return row;
  };
}

/** A connection on which inline commands are sent one by one, each answered by one line. */
export class Client {
  private readonly socket: Socket;
  private received = "";
  closed = false;

  constructor(host: string, port: number) {
    this.socket = connect({ host, port });
    this.socket.on("data", (data) => {
      this.received += data;
    });
    this.socket.on("error", () => {});
    this.socket.on("close", () => {
      this.closed = true;
    });
  }

  /** What has arrived since the last question. */
  get heard(): string {
    return this.received;
  }

  /** The first line of the reply. Throws when the connection is closed before it. */
  async ask(command: string, limitMs = 10_000): Promise<string> {
    this.received = "";
    this.socket.write(`${command}\r\n`);
    await until(
      `reply to ${command.split(" ")[0]}`,
      async () => this.received,
      (text) => {
        if (this.closed) return true;
        return text.includes("\r\n");
      },
      limitMs,
    );
    if (!this.received.includes("\r\n")) throw new Error("the connection was closed");
    return this.received.split("\r\n")[0] ?? "";
  }

  close(): void {
    this.socket.destroy();
  }
}

/** A connection that is logged in. */
export async function login(host: string, port: number, user: "client" | "recovery"): Promise<Client> {
  const client = new Client(host, port);
  const reply = await client.ask(`AUTH ${user} ${passwords[`${user}Password`]}`);
  if (reply !== "+OK") throw new Error(`AUTH of ${user}: ${reply}`);
  return client;
}

/** A name server for A records; `answers` may change at any time. */
export async function startNameServer(answers: Map<string, string>) {
  const socket = createSocket("udp4");
  socket.on("message", (query, from) => {
    const labels: string[] = [];
    let at = 12;
    for (let length = query[at] ?? 0; length > 0; length = query[at] ?? 0) {
      labels.push(query.subarray(at + 1, at + 1 + length).toString());
      at += length + 1;
    }
    const question = query.subarray(12, at + 5);
    const address =
      question.readUInt16BE(question.length - 4) === 1 ? answers.get(labels.join(".")) : undefined;
    const header = Buffer.alloc(12);
    header.writeUInt16BE(query.readUInt16BE(0), 0);
    header.writeUInt16BE(address ? 0x8580 : 0x8583, 2); // an authoritative answer, or "no such name"
    header.writeUInt16BE(1, 4);
    header.writeUInt16BE(address ? 1 : 0, 6);
    const record = address
      ? Buffer.from([0xc0, 12, 0, 1, 0, 1, 0, 0, 0, 1, 0, 4, ...address.split(".").map(Number)])
      : Buffer.alloc(0);
    socket.send(Buffer.concat([header, question, record]), from.port, from.address);
  });
  socket.bind(0, "127.0.0.1");
  await once(socket, "listening");
  return { port: socket.address().port, close: () => new Promise<void>((done) => socket.close(done)) };
}

/** `haproxy -c`: throws with what haproxy says about the file. */
export async function checkHaproxyConfig(path: string): Promise<string> {
  const { stdout, stderr } = await promisify(execFile)("haproxy", ["-c", "-V", "-f", path]);
  return stdout + stderr;
}
