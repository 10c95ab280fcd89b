// What the runs have in common.

import { noStockReason, ours, type Programs, stockFrom, stockReleases } from "../programs.ts";

export interface Command {
  readonly name: string;
  readonly help: string;
  readonly run: (args: readonly string[]) => Promise<void>;
}

/** What is wrong with the options, or with the machine; nothing was found in a server. */
export class CommandError extends Error {
  override readonly name = "CommandError";
}

/** A line that is kept. */
export function say(line: string): void {
  process.stdout.write(`${line}\n`);
}

/** A number of an option. */
export function numberOf(name: string, text: string): number {
  const value = Number(text);
  if (!Number.isFinite(value) || value < 0)
    throw new CommandError(`--${name} ${text} is no number`);
  return value;
}

/** The programs of a word: `ours`, or a folder with a stock `etcd` and `etcdctl`. */
export function programsOf(word: string): Programs {
  if (word === "ours") return ours;
  const found = stockFrom(word);
  if (found === undefined) throw new CommandError(`${word}: no stock etcd and etcdctl there`);
  return found;
}

/** The stock releases to compare with: the one in a folder, or all that are at hand. */
export function stockOf(folder: string | undefined): Programs[] {
  if (folder !== undefined) return [programsOf(folder)];
  const found = stockReleases();
  if (found.length === 0) throw new CommandError(noStockReason);
  return found;
}
