// The frame in which a tool runs one command line: parse, run, print what went wrong, give the exit status.

import type { CommandSpec, Tool } from "./command.ts";
import { parseCommandLine } from "./command-line.ts";
import { ExitCode, Failure } from "./exit.ts";
import { helpScreen, usageBlock } from "./help.ts";
import type { Output } from "./output.ts";

/** The tool whose command runs; `help` and completion look at its tree. */
let current: Tool | undefined;

export function currentTool(): Tool {
  if (current === undefined) throw new Error("no tool is running");
  return current;
}

export async function runTool(
  tool: Tool,
  argv: readonly string[],
  output: Output,
): Promise<number> {
  current = tool;
  const parsed = parseCommandLine(tool.root, argv);
  switch (parsed.kind) {
    case "unknown-command":
      output.err(`Error: ${parsed.message}\nRun '${tool.root.name} --help' for usage.\n`);
      if (tool.repeatErrors) output.err(`Error: ${parsed.message}\n`);
      return ExitCode.error;
    case "usage-error":
      output.err(`Error: ${parsed.message}\n${usageBlock(tool, parsed.path)}\n`);
      if (tool.repeatErrors) output.err(`Error: ${parsed.message}\n`);
      return ExitCode.error;
    case "help":
      output.out(helpScreen(tool, parsed.line.path));
      return ExitCode.success;
    case "run":
      break;
    default:
      return parsed satisfies never;
  }
  try {
    const command = await (parsed.line.path.at(-1) as Required<CommandSpec>).load();
    return await command.run(parsed.line, output);
  } catch (error) {
    if (!(error instanceof Failure)) throw error;
    if (error.printed) output.err(`Error: ${error.message}\n`);
    return error.exitCode;
  }
}
