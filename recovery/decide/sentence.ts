/** All decisions of a cycle in one English sentence: for the status and the log. */
import { type Decision, findingsOf } from "./decision.ts";
import { list } from "./view/words.ts";

/** Everything that is not in the desired state, or that all is well. */
export function sentenceOf(decisions: Decision[]): string {
  const unsettled = decisions.filter(({ settled }) => !settled);
  // For a machine of which some servers have not answered, the shards say the same.
  const telling = unsettled.filter(({ situation }) => situation !== "not-seen-whole");
  const open = telling.length > 0 ? telling : unsettled;
  if (open.length === 0)
    return `all is well: ${sayings(decisions.filter(({ subject }) => subject.startsWith("shard ")))}`;
  return sayings(open);
}

/** Joins shards with the same sentence: "shards 1 and 2: …". */
function sayings(decisions: Decision[]): string {
  const shardsBySaying = new Map<string, string[]>();
  for (const decision of decisions) {
    const { subject } = decision;
    for (const { because } of findingsOf(decision).reverse()) {
      const shards = shardsBySaying.get(because) ?? [];
      if (subject.startsWith("shard ")) shards.push(subject.slice("shard ".length));
      shardsBySaying.set(because, shards);
    }
  }
  return [...shardsBySaying]
    .map(([because, shards]) => {
      if (shards.length === 0) return because;
      return `${shards.length > 1 ? "shards" : "shard"} ${list(shards)}: ${because}`;
    })
    .join("; ");
}
