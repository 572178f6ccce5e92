/**
 * A persistent connection to haproxy's runtime API over TCP.
 *
 * In its interactive mode (`prompt`) haproxy ends every answer with "\n> ", so commands can be sent one
 * behind the other on one connection and answers come back in order.
 */
import { connect, type Socket } from "node:net";

const prompt = "\n> ";

interface Waiting {
  command: string;
  resolve: (answer: string) => void;
  reject: (error: Error) => void;
}

export class RuntimeApi {
  readonly #address: string;
  readonly #port: number;
  readonly #connectTimeoutMs: number;
  #socket: Socket | undefined;
  #waiting: Waiting[] = [];
  #received = "";
  #isClosed = false;
  #connections = 0;

  constructor(address: string, port: number, connectTimeoutMs: number) {
    this.#address = address;
    this.#port = port;
    this.#connectTimeoutMs = connectTimeoutMs;
  }

  /**
   * Sends one command (a single line) and resolves with its answer, without the prompt.
   *
   * @throws when the connection cannot be made or breaks; `code` of the cause tells how. With
   *   `timeoutMs`, also when the answer does not come in time; the connection is dropped then, because
   *   later answers could not be told apart.
   */
  async ask(command: string, timeoutMs?: number): Promise<string> {
    const answer = this.#send(command);
    if (timeoutMs === undefined) return answer;
    const timer = setTimeout(() => this.#drop(this.#error(`no answer within ${timeoutMs} ms`)), timeoutMs);
    return answer.finally(() => clearTimeout(timer));
  }

  /**
   * Sends commands that answer with nothing when they succeed (`set server … state …`).
   *
   * @throws with haproxy's words when one of them complains; all have been sent.
   */
  async tell(commands: string[], timeoutMs: number): Promise<void> {
    const answers = await Promise.all(commands.map((command) => this.ask(command, timeoutMs)));
    const complaint = answers.findIndex((answer) => !isSilentSuccess(answer));
    if (complaint < 0) return;
    throw new Error(
      `haproxy at ${this.#address}:${this.#port} did not take "${commands[complaint]}": ${answers[complaint]?.trim()}`,
    );
  }

  /** How many connections were made: the same number means the same process. */
  get connections(): number {
    return this.#connections;
  }

  /** Ends the connection; commands under way are rejected. The next command connects anew. */
  drop(): void {
    this.#drop(this.#error("closed by recovery"));
  }

  /** Ends the connection for good. haproxy allows few connections to its runtime API: none may be left behind. */
  close(): void {
    this.#isClosed = true;
    this.drop();
  }

  #send(command: string): Promise<string> {
    if (this.#isClosed) return Promise.reject(this.#error("closed by recovery"));
    return new Promise((resolve, reject) => {
      this.#socket ??= this.#open();
      this.#waiting.push({ command, resolve, reject });
      this.#socket.write(`${command}\n`);
    });
  }

  #open(): Socket {
    const socket = connect({ host: this.#address, port: this.#port, noDelay: true });
    this.#connections += 1;
    socket.setEncoding("utf8");
    const timer = setTimeout(
      () =>
        this.#drop(this.#error(`no connection within ${this.#connectTimeoutMs} ms`, { code: "ETIMEDOUT" })),
      this.#connectTimeoutMs,
    );
    socket.once("connect", () => clearTimeout(timer));
    socket.once("close", () => {
      clearTimeout(timer);
      if (socket === this.#socket)
        this.#drop(this.#error("the connection was closed", { code: "ECONNRESET" }));
    });
    socket.on("error", (cause) => {
      if (socket === this.#socket) this.#drop(this.#error(cause.message, cause));
    });
    socket.on("data", (text: string) => {
      if (socket === this.#socket) this.#receive(text);
    });
    socket.write("prompt\n");
    this.#waiting.push({ command: "prompt", resolve: () => {}, reject: () => {} });
    return socket;
  }

  #receive(text: string): void {
    this.#received += text;
    for (let end = this.#received.indexOf(prompt); end >= 0; end = this.#received.indexOf(prompt)) {
      const answer = this.#received.slice(0, end);
      this.#received = this.#received.slice(end + prompt.length);
      this.#waiting.shift()?.resolve(answer);
    }
  }

  #drop(error: Error): void {
    const waiting = this.#waiting;
    this.#waiting = [];
    this.#received = "";
    const socket = this.#socket;
    this.#socket = undefined;
    socket?.destroy();
    for (const { reject } of waiting) reject(error);
  }

  #error(what: string, cause?: unknown): Error {
    return new Error(`haproxy's runtime API at ${this.#address}:${this.#port}: ${what}`, { cause });
  }
}

/** A changed address is announced in words although it succeeded; so is an address that was right already. */
function isSilentSuccess(answer: string): boolean {
  const text = answer.trim();
  return text === "" || /^(IP changed from|port changed from|no need to change)/.test(text);
}
