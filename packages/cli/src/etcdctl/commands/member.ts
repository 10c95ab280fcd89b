// `member add`, `remove`, `update`, `list` and `promote`.

import type { CommandModule } from "../../shared/command.ts";
import { ExitCode, Failure } from "../../shared/exit.ts";
import { NumberError, parseUint64 } from "../../shared/go-number.ts";
import { peerUrlProblem } from "../peer-urls.ts";
import { withClient } from "../session.ts";

export const add: CommandModule = {
  async run(line, output) {
    const [name, ...more] = line.words;
    if (name === undefined) throw Failure.badArguments("member name not provided");
    if (more.length > 0) {
      const hints = more
        .filter((it) => it.toLowerCase().startsWith("http"))
        .map((it) => `, did you mean --peer-urls=${it}`);
      throw Failure.badArguments(`too many arguments${hints.join("")}`);
    }
    const given = line.flags.string("peer-urls");
    if (given === "") throw Failure.badArguments("member peer urls not provided");
    const isLearner = line.flags.bool("learner");
    return withClient(line, output, async ({ client, printer, bounded }) => {
      const peerUrls = checkedUrls(given);
      const response = await client.cluster.memberAdd({ peerUrls, isLearner }, bounded);
      printer.memberAdd(response);
      if (line.flags.string("write-out") !== "simple") return ExitCode.success;
      const newId = response.member?.id;
      const cluster = response.members.flatMap((member) =>
        member.peerUrls.map((url) => `${member.id === newId ? name : member.name}=${url}`),
      );
      output.out(
        `\nETCD_NAME="${name}"\nETCD_INITIAL_CLUSTER="${cluster.join(",")}"\nETCD_INITIAL_ADVERTISE_PEER_URLS="${given}"\nETCD_INITIAL_CLUSTER_STATE="existing"\n`,
      );
      return ExitCode.success;
    });
  },
};

export const remove: CommandModule = {
  async run(line, output) {
    const id = memberArgument(line.words);
    return withClient(line, output, async ({ client, printer, bounded }) => {
      printer.memberRemove(id, await client.cluster.memberRemove({ id }, bounded));
      return ExitCode.success;
    });
  },
};

export const update: CommandModule = {
  async run(line, output) {
    const id = memberArgument(line.words);
    const given = line.flags.string("peer-urls");
    if (given === "") throw Failure.badArguments("member peer urls not provided");
    return withClient(line, output, async ({ client, printer, bounded }) => {
      const peerUrls = checkedUrls(given);
      printer.memberUpdate(id, await client.cluster.memberUpdate({ id, peerUrls }, bounded));
      return ExitCode.success;
    });
  },
};

export const list: CommandModule = {
  async run(line, output) {
    const consistency = line.flags.string("consistency");
    if (consistency !== "l" && consistency !== "s") {
      throw new Failure(ExitCode.badFeature, `unknown consistency flag "${consistency}"`);
    }
    return withClient(line, output, async ({ client, printer, bounded }) => {
      const request = { linearizable: consistency === "l" };
      printer.memberList(await client.cluster.memberList(request, bounded));
      return ExitCode.success;
    });
  },
};

export const promote: CommandModule = {
  async run(line, output) {
    const id = memberArgument(line.words);
    return withClient(line, output, async ({ client, printer, bounded }) => {
      printer.memberPromote(id, await client.cluster.memberPromote({ id }, bounded));
      return ExitCode.success;
    });
  },
};

function memberArgument(words: readonly string[]): bigint {
  const [word, ...more] = words;
  if (word === undefined || more.length > 0)
    throw Failure.badArguments("member ID is not provided");
  try {
    return parseUint64(word, 16);
  } catch (error) {
    if (!(error instanceof NumberError)) throw error;
    throw Failure.badArguments(`bad member ID arg (${error.message}), expecting ID in Hex`);
  }
}

function checkedUrls(given: string): string[] {
  const urls = given.split(",");
  for (const url of urls) {
    const problem = peerUrlProblem(url);
    if (problem !== undefined) throw new Failure(ExitCode.error, problem);
  }
  return urls;
}
