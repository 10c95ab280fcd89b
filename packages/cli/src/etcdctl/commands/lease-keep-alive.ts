// `lease keep-alive`: renews a lease until it is gone, one line per answer.

import { LeaseKeepAliveResponse } from "@etcd-ts/api";
import type { CommandLine } from "../../shared/command-line.ts";
import { ExitCode } from "../../shared/exit.ts";
import type { Output } from "../../shared/output.ts";
import { callFailure } from "../failures.ts";
import { withClient } from "../session.ts";
import { leaseArgument } from "./lease.ts";

/** Time for the first answer, beyond `--dial-timeout`. */
const firstAnswerExtraMs = 1_000;

export async function run(line: CommandLine, output: Output): Promise<number> {
  const { flags } = line;
  const id = leaseArgument(line.words, "lease keep-alive command needs lease ID as argument");
  return withClient(line, output, async ({ client, printer }) => {
    try {
      if (flags.bool("once")) {
        printer.leaseKeepAlive(await client.keepAliveOnce(id));
        return ExitCode.success;
      }
      const renewals = client.keepAlive(id, {
        firstAnswerMs: flags.milliseconds("dial-timeout") + firstAnswerExtraMs,
      });
      for await (const response of renewals) printer.leaseKeepAlive(response);
    } catch (error) {
      throw callFailure(error, ExitCode.badConnection);
    }
    if (flags.string("write-out") === "simple") {
      const gone = new LeaseKeepAliveResponse();
      gone.id = id;
      printer.leaseKeepAlive(gone);
    }
    return ExitCode.success;
  });
}
