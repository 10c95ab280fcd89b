// What a command-line tool consists of, as plain data: commands, their flags and their help texts. The
// code of a command is loaded when it runs (`load`), so that `version` and `--help` stay cheap.

import type { CommandLine } from "./command-line.ts";
import type { Output } from "./output.ts";

/** How the word of a flag is read; the name after the flag in help screens. */
export type FlagKind = "bool" | "string" | "strings" | "int" | "uint" | "duration";

export interface FlagSpec {
  readonly name: string;
  readonly shorthand?: string;
  readonly kind: FlagKind;
  /** As typed on a command line: "5s", "true", "0"; a comma separated list for "strings". */
  readonly initial: string;
  readonly usage: string;
  /** Required flags miss with an error (etcdutl). */
  readonly required?: boolean;
  /** Not shown in any help screen. */
  readonly hidden?: boolean;
  /** Values that completion offers. */
  readonly values?: readonly string[];
}

export interface CommandSpec {
  readonly name: string;
  /** What follows the name in the usage line. */
  readonly parameters?: string;
  readonly short: string;
  readonly long?: string;
  readonly example?: string;
  /** Title of the section in which the root's help shows the command. */
  readonly section?: string;
  readonly flags?: readonly FlagSpec[];
  /** Flags that all commands below share. */
  readonly persistentFlags?: readonly FlagSpec[];
  readonly commands?: readonly CommandSpec[];
  /** Positional words that the parser itself accepts. */
  readonly arity?: (words: readonly string[]) => string | undefined;
  readonly hidden?: boolean;
  /** Absent for a group of commands. */
  readonly load?: () => Promise<CommandModule>;
  /** The command takes its words as they are: no flag is read (`__complete`). */
  readonly rawWords?: boolean;
}

export interface CommandModule {
  /** Throws `Failure` to end with a message and a status; otherwise gives the status. */
  run(line: CommandLine, output: Output): Promise<number> | number;
}

/** A tool: the root of its commands and how its help screens look. */
export interface Tool {
  readonly root: CommandSpec;
  /** Sections of the root's help, in order; empty for one list "Available Commands:". */
  readonly sections: readonly string[];
  /** Last line of every help screen. */
  readonly closing?: string;
  /** Whether help screens list the flags that a command inherits from the root. */
  readonly showRootFlags: boolean;
  /** Whether a help screen starts with the description of the command. */
  readonly showDescription: boolean;
  /** Whether a parser error is said again after the usage. */
  readonly repeatErrors: boolean;
}
