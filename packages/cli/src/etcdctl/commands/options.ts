import type { CommandLine } from "../../shared/command-line.ts";
import { ExitCode } from "../../shared/exit.ts";
import { flagTable } from "../../shared/help.ts";
import type { Output } from "../../shared/output.ts";
import { globalFlags } from "../options.ts";

export function run(_line: CommandLine, output: Output): number {
  output.out(`The following options can be passed to any command:\n\n${flagTable(globalFlags)}\n`);
  return ExitCode.success;
}
