// `__complete WORDS…`: what the last of the words may become, for the completion scripts. One candidate a
// line, a tab and its description; the last line says with a number whether file names make sense too.

import type { CommandSpec, FlagSpec } from "./command.ts";
import { type CommandLine, findCommand, flagsOf } from "./command-line.ts";
import { shells } from "./common-commands.ts";
import { ExitCode } from "./exit.ts";
import type { Output } from "./output.ts";
import { currentTool } from "./run-tool.ts";

const directive = { default: 0, noFiles: 4 } as const;

export function run(line: CommandLine, output: Output): number {
  const words = line.words;
  const typed = words.at(-1) ?? "";
  const before = words.slice(0, -1);
  const { path } = findCommand(currentTool().root, before);
  const found = candidates(path, before, typed);
  for (const [word, description] of found.list) {
    output.out(description === "" ? `${word}\n` : `${word}\t${description}\n`);
  }
  output.out(`:${found.files ? directive.default : directive.noFiles}\n`);
  return ExitCode.success;
}

interface Candidates {
  readonly list: readonly (readonly [word: string, description: string])[];
  readonly files: boolean;
}

function candidates(
  path: readonly CommandSpec[],
  before: readonly string[],
  typed: string,
): Candidates {
  const command = path.at(-1) as CommandSpec;
  const flags = flagsOf(path);
  const equals = typed.startsWith("--") ? typed.indexOf("=") : -1;
  if (equals >= 0) {
    const flag = flags.find((it) => it.name === typed.slice(2, equals));
    return valuesOf(flag, typed.slice(equals + 1), typed.slice(0, equals + 1));
  }
  const open = flags.find((it) => it.kind !== "bool" && opens(it, before.at(-1) ?? ""));
  if (open !== undefined) return valuesOf(open, typed, "");
  if (typed.startsWith("-") && !before.includes("--")) {
    const list = flags
      .filter((it) => !it.hidden)
      .map((it) => [`--${it.name}`, it.usage] as const)
      .filter(([word]) => word.startsWith(typed))
      .sort();
    return { list, files: false };
  }
  const children = (command.commands ?? []).filter((it) => !it.hidden);
  if (children.length > 0) {
    const list = children
      .filter((it) => it.name.startsWith(typed))
      .map((it) => [it.name, it.short] as const)
      .sort();
    return { list, files: false };
  }
  if (command.name === "completion") {
    const list = shells.filter((it) => it.startsWith(typed)).map((it) => [it, ""] as const);
    return { list, files: false };
  }
  return { list: [], files: true };
}

function opens(flag: FlagSpec, word: string): boolean {
  return (
    word === `--${flag.name}` || (flag.shorthand !== undefined && word === `-${flag.shorthand}`)
  );
}

function valuesOf(flag: FlagSpec | undefined, typed: string, prefix: string): Candidates {
  if (flag?.values === undefined) return { list: [], files: true };
  const list = flag.values
    .filter((it) => it.startsWith(typed))
    .map((it) => [prefix + it, ""] as const);
  return { list, files: false };
}
