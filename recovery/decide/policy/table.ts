/** The form of the tables of situations, and how a row is found. */
import type { MachineName } from "../../topology.ts";
import type { Step } from "../steps.ts";

/** Whose record of an incident a decision belongs to. */
export type About = MachineName | "first start";

export interface Row<View> {
  situation: string;
  /** For `barton explain`: what the situation is and what is done. */
  meaning: string;
  /** What a person should do; without it nothing is to do. Shown where the situation is: status, incident, notification. */
  operator?: string;
  /** For the diagram: where it goes from here, by its steps or as the world moves on. */
  leadsTo?: string[];
  /** Waits for a person or for another machine to come back: people are told when it lasts. */
  holds?: boolean;
  when: (view: View) => boolean;
  steps?: (view: View) => Step[];
  because: (view: View) => string;
  /** The desired state: nothing is left to do. */
  settled?: boolean;
  about?: (view: View) => About | undefined;
  /** Worth a record of an incident, if there is none open for that machine. */
  opens?: boolean;
}

/** The operator's sentence of a row that has none. */
export const nothingToDo = "Nothing to do.";

/**
 * The first row that covers the view.
 *
 * @throws when no row does: an unknown situation is reported by name and never guessed at.
 */
export function findRow<View, R extends Row<View>>(rows: R[], view: View, describe: () => string): R {
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
