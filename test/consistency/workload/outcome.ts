/** What an error says of the operation: that it did not happen, or that nobody knows. Pure. */
import type { Outcome } from "../history.ts";

/**
 * An error reply of redis is a refusal: the command was not carried out. Without a reply it was certainly not carried
 * out only when no connection ever came about (`wasSent` false); everything else stays unknown.
 */
export function outcomeOf(error: Error, wasSent: boolean): Exclude<Outcome, "ok"> {
  if (error.name === "ReplyError") return "fail";
  return wasSent ? "unknown" : "fail";
}

/** The address of the server in an answer to `CLIENT INFO`. */
export function serverOf(clientInfo: string): string | undefined {
  return /\bladdr=(\S+)/.exec(clientInfo)?.[1];
}
