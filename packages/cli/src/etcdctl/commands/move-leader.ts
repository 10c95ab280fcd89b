import type { CommandLine } from "../../shared/command-line.ts";
import { ExitCode, Failure } from "../../shared/exit.ts";
import { NumberError, parseUint64 } from "../../shared/go-number.ts";
import type { Output } from "../../shared/output.ts";
import { withClient } from "../session.ts";

export async function run(line: CommandLine, output: Output): Promise<number> {
  const [word, ...more] = line.words;
  if (word === undefined || more.length > 0) {
    throw Failure.badArguments("move-leader command needs 1 argument");
  }
  const targetId = memberId(word);
  return withClient(line, output, async (session) => {
    const { client, bounded } = session;
    // One deadline for the whole command.
    const deadlineMs = session.host.clock.monotonicMs() + (bounded.timeoutMs ?? 0);
    const left = () => ({
      timeoutMs: Math.max(1, deadlineMs - session.host.clock.monotonicMs()),
    });
    for (const endpoint of client.endpoints) {
      await using leader = client.at(endpoint);
      const status = await leader.maintenance.status(left());
      if (status.leader !== status.header?.memberId) continue;
      const response = await leader.maintenance.moveLeader({ targetId }, left());
      session.printer.moveLeader(status.leader, targetId, response);
      return ExitCode.success;
    }
    throw Failure.badArguments(`no leader endpoint given at [${client.endpoints.join(" ")}]`);
  });
}

function memberId(word: string): bigint {
  try {
    return parseUint64(word, 16);
  } catch (error) {
    if (error instanceof NumberError) throw Failure.badArguments(error.message);
    throw error;
  }
}
