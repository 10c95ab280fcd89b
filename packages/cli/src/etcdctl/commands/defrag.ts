// `defrag`: has the endpoints give space back, one after the other.

import type { CommandLine } from "../../shared/command-line.ts";
import { ExitCode } from "../../shared/exit.ts";
import { formatMilliseconds } from "../../shared/go-duration.ts";
import type { Output } from "../../shared/output.ts";
import { endpointsToVisit } from "../endpoints.ts";
import { isCallError, messageOf } from "../failures.ts";
import { withClient } from "../session.ts";

export async function run(line: CommandLine, output: Output): Promise<number> {
  const options = { literalEndpoints: !line.flags.bool("cluster") };
  return withClient(
    line,
    output,
    async (session) => {
      const { clock } = session.host;
      let exitCode: number = ExitCode.success;
      for (const endpoint of await endpointsToVisit(session)) {
        const startedMs = clock.monotonicMs();
        const took = () => formatMilliseconds(clock.monotonicMs() - startedMs);
        try {
          await using client = session.client.at(endpoint);
          await client.maintenance.defragment(session.bounded);
          output.out(`Finished defragmenting etcd member[${endpoint}]. took ${took()}\n`);
        } catch (error) {
          if (!isCallError(error)) throw error;
          exitCode = ExitCode.error;
          output.err(
            `Failed to defragment etcd member[${endpoint}]. took ${took()}. (${messageOf(error)})\n`,
          );
        }
      }
      return exitCode;
    },
    options,
  );
}
