// Reads a command line against a tree of commands: which command is meant, its flags and its words.
//
// The grammar is that of the libraries that etcd's tools are built with (pflag and cobra), since scripts
// depend on its corners: `-wjson`, `--limit 0x10`, flags anywhere among the words, any unambiguous prefix
// of a command's name, a boolean that never takes the next word, a group of commands that "succeeds" with
// its help. A parser of our own (this file) rather than a package of the field: no package for Node reads
// this grammar, and loading one costs more than the whole of `etcdctl version` may.
//
// Two passes. The first finds the command: words are taken one by one as names of commands, level by level,
// and a flag that needs a value takes the next word with it. At that moment only the flags of the level
// reached are known, which is why a flag of a group must come after the group's name. The second pass reads
// the flags of the command found among all words that are left.

import type { CommandSpec, FlagSpec } from "./command.ts";
import { FlagSet, UsageError } from "./flags.ts";
import { quote } from "./go-quote.ts";
import { suggestions } from "./suggest.ts";

/** A command with all that its line said. */
export interface CommandLine {
  /** From the root to the command. */
  readonly path: readonly CommandSpec[];
  readonly flags: FlagSet;
  /** Words that are neither commands nor flags; the first `--` is dropped. */
  readonly words: readonly string[];
  /** Number of words before `--`; undefined when there was none. */
  readonly wordsBeforeDash: number | undefined;
}

export type ParseResult =
  | { readonly kind: "run" | "help"; readonly line: CommandLine }
  | {
      readonly kind: "unknown-command";
      readonly path: readonly CommandSpec[];
      readonly message: string;
    }
  | {
      readonly kind: "usage-error";
      readonly path: readonly CommandSpec[];
      readonly message: string;
    };

export function parseCommandLine(root: CommandSpec, argv: readonly string[]): ParseResult {
  const { path, rest } = findCommand(root, argv);
  const command = path.at(-1) as CommandSpec;
  if (command === root) {
    const unknown = positionals(rest, path)[0];
    if (unknown !== undefined) {
      const message = `unknown command ${quote(unknown)} for ${quote(root.name)}`;
      return { kind: "unknown-command", path, message: message + suggestions(root, unknown) };
    }
  }
  const flags = new FlagSet(flagsOf(path));
  let read: FlagReading;
  try {
    read = command.rawWords
      ? { words: rest, wordsBeforeDash: undefined, help: false }
      : readFlags(flags, rest);
  } catch (error) {
    if (!(error instanceof UsageError)) throw error;
    return { kind: "usage-error", path, message: error.message };
  }
  const line = { path, flags, words: read.words, wordsBeforeDash: read.wordsBeforeDash };
  if (read.help || command.load === undefined) return { kind: "help", line };
  const problem = command.arity?.(read.words) ?? missingFlags(flags);
  if (problem !== undefined) return { kind: "usage-error", path, message: problem };
  return { kind: "run", line };
}

/** The command that words name, from the root down, and what is left of the words. */
export function findCommand(
  root: CommandSpec,
  argv: readonly string[],
): { path: CommandSpec[]; rest: string[] } {
  const path = [root];
  let rest = [...argv];
  for (;;) {
    const index = firstPositional(rest, path);
    if (index === undefined) return { path, rest };
    const next = childNamed(path.at(-1) as CommandSpec, rest[index] as string);
    if (next === undefined) return { path, rest };
    path.push(next);
    rest = rest.toSpliced(index, 1);
  }
}

/** The sub-command of that name, or the only one whose name starts with it. */
function childNamed(command: CommandSpec, word: string): CommandSpec | undefined {
  const commands = command.commands ?? [];
  const exact = commands.find((it) => it.name === word);
  if (exact !== undefined) return exact;
  const matches = commands.filter((it) => it.name.startsWith(word));
  return matches.length === 1 ? matches[0] : undefined;
}

/** All flags that a command knows: its own first, then those of the commands above, `--help` last. */
export function flagsOf(path: readonly CommandSpec[]): FlagSpec[] {
  const command = path.at(-1) as CommandSpec;
  return [
    ...(command.flags ?? []),
    ...[...path].reverse().flatMap((it) => it.persistentFlags ?? []),
    helpFlag(command),
  ];
}

export function helpFlag(command: CommandSpec): FlagSpec {
  return {
    name: "help",
    shorthand: "h",
    kind: "bool",
    initial: "false",
    usage: `help for ${command.name}`,
  };
}

/** Words that are not flags nor values of flags, as far as the flags of `path` tell. */
function positionals(words: readonly string[], path: readonly CommandSpec[]): string[] {
  const found: string[] = [];
  for (let from = 0; ; ) {
    const index = firstPositional(words, path, from);
    if (index === undefined) return found;
    found.push(words[index] as string);
    from = index + 1;
  }
}

function firstPositional(
  words: readonly string[],
  path: readonly CommandSpec[],
  from = 0,
): number | undefined {
  // `--help` belongs to a command only once the command is found.
  const known = flagsOf(path).slice(0, -1);
  for (let i = from; i < words.length; i++) {
    const word = words[i] as string;
    if (word === "--") return undefined;
    if (!word.startsWith("-")) {
      if (word !== "") return i;
    } else if (takesNextWord(word, known)) {
      // The last word is then a value: nothing is left to be a command.
      if (words.length - i <= 2) return undefined;
      i += 1;
    }
  }
  return undefined;
}

function takesNextWord(word: string, known: readonly FlagSpec[]): boolean {
  if (word.includes("=")) return false;
  if (word.startsWith("--")) return known.find((it) => it.name === word.slice(2))?.kind !== "bool";
  return word.length === 2 && known.find((it) => it.shorthand === word[1])?.kind !== "bool";
}

interface FlagReading {
  readonly words: string[];
  readonly wordsBeforeDash: number | undefined;
  readonly help: boolean;
}

/** Sets the flags among `argv` and gives the other words; throws `UsageError`. */
export function readFlags(flags: FlagSet, argv: readonly string[]): FlagReading {
  const words: string[] = [];
  let wordsBeforeDash: number | undefined;
  for (let i = 0; i < argv.length; i++) {
    const word = argv[i] as string;
    if (word === "--") {
      wordsBeforeDash = words.length;
      words.push(...argv.slice(i + 1));
      break;
    }
    if (!word.startsWith("-") || word === "-") {
      words.push(word);
    } else if (word.startsWith("--")) {
      i += readLong(flags, word, argv[i + 1]);
    } else {
      i += readShort(flags, word, argv[i + 1]);
    }
  }
  return { words, wordsBeforeDash, help: flags.bool("help") };
}

/** Reads `--name`, `--name=value` or `--name value`; gives the number of further words used. */
function readLong(flags: FlagSet, word: string, next: string | undefined): number {
  const body = word.slice(2);
  if (body === "" || body.startsWith("-") || body.startsWith("=")) {
    throw new UsageError(`bad flag syntax: ${word}`);
  }
  const equals = body.indexOf("=");
  const name = equals < 0 ? body : body.slice(0, equals);
  const spec = flags.spec(name);
  if (spec === undefined) throw new UsageError(`unknown flag: --${name}`);
  if (equals >= 0) {
    flags.set(spec, body.slice(equals + 1));
    return 0;
  }
  if (spec.kind === "bool") {
    flags.set(spec, "true");
    return 0;
  }
  if (next === undefined) throw new UsageError(`flag needs an argument: ${word}`);
  flags.set(spec, next);
  return 1;
}

/** Reads `-w json`, `-wjson`, `-w=json` or joined letters `-iw json`. */
function readShort(flags: FlagSet, word: string, next: string | undefined): number {
  let letters = word.slice(1);
  while (letters !== "") {
    const letter = letters[0] as string;
    const spec = flags.shorthand(letter);
    if (spec === undefined) {
      throw new UsageError(`unknown shorthand flag: ${quoteLetter(letter)} in -${letters}`);
    }
    if (letters.length > 2 && letters[1] === "=") {
      flags.set(spec, letters.slice(2));
      return 0;
    }
    if (spec.kind === "bool") {
      flags.set(spec, "true");
      letters = letters.slice(1);
      continue;
    }
    if (letters.length > 1) {
      flags.set(spec, letters.slice(1));
      return 0;
    }
    if (next === undefined) {
      throw new UsageError(`flag needs an argument: ${quoteLetter(letter)} in -${letters}`);
    }
    flags.set(spec, next);
    return 1;
  }
  return 0;
}

/** Go's `%q` of a letter. */
function quoteLetter(letter: string): string {
  return letter === "'" ? "'\\''" : letter === '"' ? "'\"'" : `'${quote(letter).slice(1, -1)}'`;
}

function missingFlags(flags: FlagSet): string | undefined {
  const missing = [...flags.specs()]
    .filter((spec) => spec.required && !flags.has(spec.name))
    .map((spec) => spec.name)
    .sort();
  if (missing.length === 0) return undefined;
  return `required flag(s) ${missing.map((name) => quote(name)).join(", ")} not set`;
}
