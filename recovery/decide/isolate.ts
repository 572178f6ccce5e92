/** One exception must not stop the healing of everything else: each part of a decision runs by itself. */

/** A part of a decision that threw: a bug, which the loop reports (report/bugs.ts). */
export interface Fault {
  where: string;
  error: unknown;
}

/** Runs `work`; undefined when it throws; the exception goes into a list of faults. */
export type Attempt = <T>(where: string, work: () => T) => T | undefined;

/** An `attempt`, and the faults that it has met so far. */
export function isolation(): { attempt: Attempt; faults: Fault[] } {
  const faults: Fault[] = [];
  const attempt: Attempt = (where, work) => {
    try {
      return work();
    } catch (error) {
      faults.push({ where, error });
      return undefined;
    }
  };
  return { attempt, faults };
}
