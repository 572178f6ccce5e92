/** What the processes of the machines have in common, as whoever talks to them finds them. */
import type { Instance } from "./world.ts";

/** A process that recovery has connections to. */
export interface Process {
  instance: Instance;
  running: boolean;
  /** It stands still: the kernel of its machine takes what comes, and it answers nothing. */
  hung: boolean;
  /** Another name after each start. */
  processId: string;
  readonly inbox: Inbox;
  /** The next batch of commands finds it hung after the first one, for so long (milliseconds). */
  hangsInBatchMs?: number;
}

interface Message {
  connection: object;
  read: () => void;
  lost: () => void;
}

/** What has come for a process that stands still. It reads it when it goes on, however long ago its sender went away. */
export class Inbox {
  #messages: Message[] = [];

  put(message: Message): void {
    this.#messages.push(message);
  }

  /** All messages by connection: each one in its order, but nobody promises an order among them. */
  take(): Message[][] {
    const byConnection = new Map<object, Message[]>();
    for (const message of this.#messages) {
      const others = byConnection.get(message.connection);
      if (others) others.push(message);
      else byConnection.set(message.connection, [message]);
    }
    this.#messages = [];
    return [...byConnection.values()];
  }

  /** The process has ended: its kernel resets its connections. */
  reset(): void {
    const messages = this.#messages;
    this.#messages = [];
    for (const { lost } of messages) lost();
  }

  /** The machine has lost its power: nobody is told. */
  forget(): void {
    this.#messages = [];
  }
}
