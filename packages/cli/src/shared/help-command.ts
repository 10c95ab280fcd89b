import type { CommandLine } from "./command-line.ts";
import { findCommand } from "./command-line.ts";
import { ExitCode } from "./exit.ts";
import { backQuote } from "./go-quote.ts";
import { helpScreen, usageBlock } from "./help.ts";
import type { Output } from "./output.ts";
import { currentTool } from "./run-tool.ts";

/** `help [command]`: the same screen as `command --help`. */
export function run(line: CommandLine, output: Output): number {
  const tool = currentTool();
  const { path, rest } = findCommand(tool.root, line.words);
  if (path.length === 1 && rest.length > 0) {
    output.err(`Unknown help topic [${line.words.map(backQuote).join(" ")}]\n`);
    output.err(usageBlock(tool, path));
  } else {
    output.out(helpScreen(tool, path));
  }
  return ExitCode.success;
}
