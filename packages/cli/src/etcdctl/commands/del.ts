import type { CommandLine } from "../../shared/command-line.ts";
import { ExitCode } from "../../shared/exit.ts";
import type { FlagSet } from "../../shared/flags.ts";
import { quote } from "../../shared/go-quote.ts";
import type { Output } from "../../shared/output.ts";
import { delRequest } from "../requests.ts";
import { withClient } from "../session.ts";

const graceMs = 2_000;

export async function run(line: CommandLine, output: Output): Promise<number> {
  const request = delRequest(line.flags, line.words);
  await warnOfRange(line.flags, line.words, output);
  return withClient(line, output, async ({ client, printer, bounded }) => {
    printer.del(await client.kv.deleteRange(request, bounded));
    return ExitCode.success;
  });
}

/** Two words are a range, which people take for two keys: time to interrupt, unless `--range` says so. */
export async function warnOfRange(
  flags: FlagSet,
  words: readonly string[],
  output: Output,
): Promise<void> {
  const [key, end] = words;
  if (key === undefined || end === undefined || flags.bool("range")) return;
  output.err(
    `Warning: Keys between ${quote(key)} and ${quote(end)} will be deleted. Please interrupt the command within next 2 seconds to cancel. You can provide \`--range\` flag to avoid the delay.\n`,
  );
  await new Promise((resolve) => setTimeout(resolve, graceMs));
}
