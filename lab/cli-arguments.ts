/** The one rule of the command line that commander cannot express. Pure. */

/**
 * `exec` and `ssh` end their own options at MACHINE, so that the command after it keeps its options. Where a `--`
 * tells the two apart anyway, `--name` may also stand behind MACHINE: it is brought to the front.
 */
export function withOptionsFirst(words: readonly string[]): string[] {
  const end = words.indexOf("--");
  const verb = words.findIndex((word) => word === "exec" || word === "ssh");
  if (verb === -1 || end < verb) return [...words];
  const names: string[] = [];
  const others: string[] = [];
  const head = words.slice(verb + 1, end);
  for (let index = 0; index < head.length; index++) {
    const word = head[index] ?? "";
    if (word === "--name") {
      names.push(word, ...head.slice(index + 1, index + 2));
      index += 1;
    } else (word.startsWith("--name=") ? names : others).push(word);
  }
  return [...words.slice(0, verb + 1), ...names, ...others, ...words.slice(end)];
}
