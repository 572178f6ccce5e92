/** The form of the tables of situations, and how a row is found. */
import type { MachineName } from "../../topology.ts";
import type { Step } from "../steps.ts";

/** Whose record of an incident a decision belongs to. */
export type About = MachineName | "first start";

/** One situation of a table of decisions. A row holds no logic of its own: predicates and plans are in rules/ and view/. */
export interface Row<View> {
  situation: string;
  /** For `barton explain`: what the situation is and what recovery does. */
  meaning: string;
  /** What a person should do. Shown in the status, the incident, the notification and the runbook. */
  operator: string;
  when: (view: View) => boolean;
  steps?: (view: View) => Step[];
  /** One sentence: what happened, on what, and what recovery does about it. */
  because: (view: View) => string;
  /** The desired state: nothing is left to do. */
  settled?: true;
  /** Blocked: recovery waits for a person or for another machine to come back. People are told when it lasts. */
  holds?: true;
  /** Worth a record of an incident, if there is none open for that machine. */
  opens?: true;
  about?: (view: View) => About | undefined;
}

/** The sentence for the operator where recovery needs no help. */
export const nothingToDo = "Nothing to do.";

/** The predicate of a table's last row. */
export const otherwise = () => true;

/**
 * The first row that covers the view.
 *
 * @throws when no row does: an unknown situation is reported by name and never guessed at.
 */
export function findRow<View, R extends Row<View>>(
  rows: readonly R[],
  view: View,
  describe: () => string,
): R {
  const row = rows.find(({ when }) => when(view));
  if (!row) throw new UnknownSituation(describe());
  return row;
}

/** Facts that no row of a table covers. */
export class UnknownSituation extends Error {
  override name = "UnknownSituation";
  constructor(facts: string) {
    super(
      `no row of the table of situations covers this: ${facts}; nothing is done about it, please report it`,
    );
  }
}
