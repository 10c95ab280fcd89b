// `endpoint status`: the endpoints one after the other; those that do not answer are named and left out.

import type { CommandLine } from "../../shared/command-line.ts";
import { ExitCode } from "../../shared/exit.ts";
import type { Output } from "../../shared/output.ts";
import { endpointsToVisit } from "../endpoints.ts";
import { isCallError, messageOf } from "../failures.ts";
import type { EndpointStatus } from "../print/printer.ts";
import { withClient } from "../session.ts";

export async function run(line: CommandLine, output: Output): Promise<number> {
  const options = { literalEndpoints: !line.flags.bool("cluster") };
  return withClient(
    line,
    output,
    async (session) => {
      const list: EndpointStatus[] = [];
      let exitCode: number = ExitCode.success;
      for (const endpoint of await endpointsToVisit(session)) {
        try {
          await using client = session.client.at(endpoint);
          list.push({ endpoint, status: await client.maintenance.status(session.bounded) });
        } catch (error) {
          if (!isCallError(error)) throw error;
          exitCode = ExitCode.error;
          output.err(`Failed to get the status of endpoint ${endpoint} (${messageOf(error)})\n`);
        }
      }
      session.printer.endpointStatus(list);
      return exitCode;
    },
    options,
  );
}
