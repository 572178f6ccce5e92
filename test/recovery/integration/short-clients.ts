/** Many clients side by side that connect for one write each, as programs without a pool do. */
import { connect } from "node:net";
import { connectTo } from "./traffic.ts";
import { passwords } from "./world.ts";

/** A client that waits for a master waits no longer than this. */
const writeMaxMs = 20_000;

export class ShortClients {
  readonly acknowledged: string[] = [];
  /** What went wrong with writes: redis's error, or that the connection ended before its answer. */
  readonly errors: string[] = [];
  readonly #address: string;
  readonly #port: number;
  readonly #loops: Promise<void>[];
  #isStopped = false;

  constructor(address: string, port: number, lanes: number) {
    this.#address = address;
    this.#port = port;
    this.#loops = Array.from({ length: lanes }, (_, lane) => this.#run(lane));
  }

  async stop(): Promise<void> {
    this.#isStopped = true;
    await Promise.all(this.#loops);
  }

  /** Acknowledged writes since `first` (a position in `acknowledged`) that the server does not have. */
  async lostAt(address: string, port: number, first: number): Promise<string[]> {
    const redis = connectTo(address, port);
    try {
      const keys = this.acknowledged.slice(first);
      const found = keys.length > 0 ? await redis.mget(keys) : [];
      return keys.filter((_, position) => found[position] === null);
    } finally {
      redis.disconnect();
    }
  }

  async #run(lane: number): Promise<void> {
    for (let count = 0; !this.#isStopped; count += 1) {
      const key = `short-${lane}-${count}`;
      const answer = await this.#write(key);
      if (answer === "+OK") this.acknowledged.push(key);
      else this.errors.push(answer);
    }
  }

  /** One connection for one write: what redis answers to it, or how the connection ended. */
  #write(key: string): Promise<string> {
    return new Promise((resolve) => {
      let received = "";
      const socket = connect({ host: this.#address, port: this.#port });
      const end = (how: string) => {
        socket.destroy();
        resolve(how);
      };
      socket.setTimeout(writeMaxMs, () => end("no answer"));
      socket.on("error", (error) => end(error.message));
      socket.on("close", () => end("closed"));
      socket.on("data", (data) => {
        received += data;
        const [login, written, rest] = received.split("\r\n");
        if (rest !== undefined) end(login === "+OK" ? String(written) : String(login));
      });
      socket.write(`AUTH client ${passwords.clientPassword}\r\nSET ${key} 1\r\n`);
    });
  }
}
