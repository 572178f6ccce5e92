/** Parts of sentences in English. */
import type { Refusal } from "../../observe/facts.ts";
import type { ServerView } from "./view.ts";

/** "a", "a and b", "a, b and c". */
export function list(items: (string | number)[]): string {
  if (items.length < 2) return items.join("");
  return `${items.slice(0, -1).join(", ")} and ${items.at(-1)}`;
}

/** The trouble of a server, with the vantage points that say so. */
export function troubleOf({ machine, condition, by, refusal }: ServerView): string {
  const sayers = by.length > 0 ? ` (${by.length > 1 ? "say" : "says"} ${list(by)})` : "";
  switch (condition) {
    case "refused":
      return `${machine}'s redis process is gone${sayers}`;
    case "silent":
      return `${machine} does not answer on any port${sayers}`;
    case "hung":
      return `${machine}'s redis accepts but has not replied for too long${sayers}`;
    case "off":
      return `${machine} is off${sayers}`;
    case "stalling":
      return `${machine}'s redis accepts but does not reply${sayers}`;
    case "doubted":
      return `${machine} fails probes${sayers}, which is no verdict yet`;
    case "unseen":
      return `${machine} has not answered yet`;
    case "fine":
      return refusal ? refusalText(machine, refusal) : `${machine} answers`;
  }
}

function refusalText(machine: string, { kind, text }: Refusal): string {
  switch (kind) {
    case "loading":
      return `${machine} is loading its data from disk`;
    case "busy":
      return `${machine} runs a script that does not end: ${text}`;
    case "too many clients":
      return `${machine} has reached its limit of clients and refuses recovery: ${text}`;
    case "unreadable":
      return `${machine} answers what recovery cannot read: ${text}`;
    case "credentials":
    case "rights":
    case "other":
      return `${machine} refuses recovery: ${text}`;
  }
}

/** Milliseconds as seconds with one decimal. */
export function seconds(ms: number): string {
  return `${(ms / 1000).toFixed(1)} s`;
}
