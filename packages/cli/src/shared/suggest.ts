import type { CommandSpec } from "./command.ts";

/** How far a name may be from what was typed to be suggested. */
const distanceMax = 2;

/** The block "Did you mean this?" for a word that names no command; empty when nothing is close. */
export function suggestions(command: CommandSpec, typed: string): string {
  const close = (command.commands ?? []).filter(
    (it) =>
      !it.hidden &&
      (editDistance(typed.toLowerCase(), it.name) <= distanceMax ||
        it.name.startsWith(typed.toLowerCase())),
  );
  if (close.length === 0) return "";
  return `\n\nDid you mean this?\n${close.map((it) => `\t${it.name}\n`).join("")}`;
}

/** Levenshtein's: insertions, removals and replacements that turn one word into the other. */
export function editDistance(a: string, b: string): number {
  let previous = Array.from({ length: b.length + 1 }, (_, i) => i);
  for (let i = 1; i <= a.length; i++) {
    const current = [i];
    for (let j = 1; j <= b.length; j++) {
      const replaced = (previous[j - 1] as number) + (a[i - 1] === b[j - 1] ? 0 : 1);
      current.push(Math.min(replaced, (previous[j] as number) + 1, (current[j - 1] as number) + 1));
    }
    previous = current;
  }
  return previous[b.length] as number;
}
