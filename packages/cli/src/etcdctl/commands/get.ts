import { mergeRange } from "@etcd-ts/client";
import type { CommandLine } from "../../shared/command-line.ts";
import { ExitCode, Failure } from "../../shared/exit.ts";
import type { Output } from "../../shared/output.ts";
import { getRequest } from "../requests.ts";
import { withClient } from "../session.ts";

export async function run(line: CommandLine, output: Output): Promise<number> {
  const { flags } = line;
  const request = getRequest(flags, line.words);
  return withClient(line, output, async ({ client, printer, bounded }) => {
    const response = flags.bool("stream")
      ? await mergeRange(client.kv.rangeStream(request, bounded))
      : await client.kv.range(request, bounded);
    const format = flags.string("write-out");
    if (request.countOnly && format !== "fields") {
      throw Failure.badArguments("--count-only is only for `--write-out=fields`");
    }
    const valueOnly = flags.bool("print-value-only");
    if (valueOnly && format !== "simple") {
      throw Failure.badArguments("print-value-only is only for `--write-out=simple`");
    }
    printer.get(response, valueOnly);
    return ExitCode.success;
  });
}
