// `endpoint hashkv`: the hash of each endpoint's store, to compare members.

import type { CommandLine } from "../../shared/command-line.ts";
import { ExitCode, Failure } from "../../shared/exit.ts";
import type { Output } from "../../shared/output.ts";
import { endpointsToVisit } from "../endpoints.ts";
import { isCallError, messageOf } from "../failures.ts";
import type { EndpointHash } from "../print/printer.ts";
import { withClient } from "../session.ts";

export async function run(line: CommandLine, output: Output): Promise<number> {
  const revision = line.flags.int("rev");
  const options = { literalEndpoints: !line.flags.bool("cluster") };
  return withClient(
    line,
    output,
    async (session) => {
      const list: EndpointHash[] = [];
      let lastError: string | undefined;
      for (const endpoint of await endpointsToVisit(session)) {
        try {
          await using client = session.client.at(endpoint);
          const hash = await client.maintenance.hashKv({ revision }, session.bounded);
          list.push({ endpoint, hash });
        } catch (error) {
          if (!isCallError(error)) throw error;
          lastError = messageOf(error);
          output.err(`Failed to get the hash of endpoint ${endpoint} (${lastError})\n`);
        }
      }
      session.printer.endpointHashKv(list);
      if (lastError !== undefined) throw new Failure(ExitCode.error, lastError);
      return ExitCode.success;
    },
    options,
  );
}
