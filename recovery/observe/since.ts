/** When each row of failures was first seen. haproxy itself reports whole seconds only. */
export class FailingSince {
  readonly #nowMs: () => number;
  readonly #since = new Map<string, number>();

  constructor(nowMs: () => number) {
    this.#nowMs = nowMs;
  }

  /** Since when (monotonic milliseconds) `name` fails; undefined when it does not, which ends its row. */
  readonly since = (name: string, failing: boolean): number | undefined => {
    if (!failing) {
      this.#since.delete(name);
      return undefined;
    }
    const since = this.#since.get(name) ?? this.#nowMs();
    this.#since.set(name, since);
    return since;
  };
}
