/**
 * A persistent connection to haproxy's runtime API over TCP.
 *
 * In its interactive mode (`prompt`) haproxy ends every answer with "\n> ". So many commands can be sent on one connection,
 * and the answers come back in order.
 */
import { connect, type Socket } from "node:net";
import { resetConnection } from "./reset-connection.ts";

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
   * @throws if the connection cannot be made or breaks; `code` of the cause says how. With `timeoutMs` also if the answer
   *   does not come in time. The connection is dropped then, because later answers could not be assigned to their commands.
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
   * @throws with haproxy's answer if one command was refused. All commands have been sent.
   */
  async tell(commands: string[], timeoutMs?: number): Promise<void> {
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

  /** Ends the connection and rejects the commands under way. The next command opens a new connection. */
  drop(): void {
    this.#drop(this.#error("closed by recovery"));
  }

  /** Ends the connection for good. haproxy allows only few connections to its runtime API, so none may be left open. */
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
    // A list of thousands of sessions comes in hundreds of pieces: each is searched once.
    let from = Math.max(this.#received.length - prompt.length, 0);
    this.#received += text;
    let begin = 0;
    for (
      let end = this.#received.indexOf(prompt, from);
      end >= 0;
      end = this.#received.indexOf(prompt, from)
    ) {
      this.#waiting.shift()?.resolve(this.#received.slice(begin, end));
      begin = from = end + prompt.length;
    }
    this.#received = this.#received.slice(begin);
  }

  #drop(error: Error): void {
    const waiting = this.#waiting;
    this.#waiting = [];
    this.#received = "";
    const socket = this.#socket;
    this.#socket = undefined;
    if (socket) resetConnection(socket);
    for (const { reject } of waiting) reject(error);
  }

  #error(what: string, cause?: unknown): Error {
    return new Error(`haproxy's runtime API at ${this.#address}:${this.#port}: ${what}`, { cause });
  }
}

/** True if the command succeeded. haproxy announces a changed address, or one that was right already, although there is no error. */
function isSilentSuccess(answer: string): boolean {
  const text = answer.trim();
  return text === "" || /^(IP changed from|port changed from|no need to change)/.test(text);
}
