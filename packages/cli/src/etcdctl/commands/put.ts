import type { CommandLine } from "../../shared/command-line.ts";
import { ExitCode } from "../../shared/exit.ts";
import type { Output } from "../../shared/output.ts";
import { readInput } from "../../shared/stdin.ts";
import { putRequest } from "../requests.ts";
import { withClient } from "../session.ts";

export async function run(line: CommandLine, output: Output): Promise<number> {
  const request = await putRequest(line.flags, line.words, readInput);
  return withClient(line, output, async ({ client, printer, bounded }) => {
    printer.put(await client.kv.put(request, bounded));
    return ExitCode.success;
  });
}
