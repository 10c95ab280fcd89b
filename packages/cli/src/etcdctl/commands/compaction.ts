import type { CommandLine } from "../../shared/command-line.ts";
import { ExitCode, Failure } from "../../shared/exit.ts";
import { NumberError, parseInt64 } from "../../shared/go-number.ts";
import type { Output } from "../../shared/output.ts";
import { withClient } from "../session.ts";

export async function run(line: CommandLine, output: Output): Promise<number> {
  const [word, ...more] = line.words;
  if (word === undefined || more.length > 0) {
    throw Failure.badArguments("compaction command needs 1 argument");
  }
  const revision = parseRevision(word);
  return withClient(line, output, async ({ client, bounded }) => {
    await client.kv.compact({ revision, physical: line.flags.bool("physical") }, bounded);
    output.out(`compacted revision ${revision}\n`);
    return ExitCode.success;
  });
}

function parseRevision(word: string): bigint {
  try {
    return parseInt64(word, 10);
  } catch (error) {
    if (error instanceof NumberError) throw new Failure(ExitCode.error, error.message);
    throw error;
  }
}
