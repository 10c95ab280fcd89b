// `watch`: prints events as they come, until it is killed or the member ends it; with `-i` many watches at
// once, asked for line by line.

import { WatchResponse } from "@etcd-ts/api";
import type { Client, Watch } from "@etcd-ts/client";
import { textToBytes } from "../../shared/byte-text.ts";
import { type CommandLine, flagsOf, readFlags } from "../../shared/command-line.ts";
import { ExitCode, Failure } from "../../shared/exit.ts";
import { FlagSet, UsageError } from "../../shared/flags.ts";
import { quote, quoteList } from "../../shared/go-quote.ts";
import type { Output } from "../../shared/output.ts";
import { inputLines } from "../../shared/stdin.ts";
import { splitWords } from "../../shared/word-split.ts";
import { isCallError, messageOf } from "../failures.ts";
import type { Printer } from "../print/printer.ts";
import { runCommand } from "../run-command.ts";
import { type Session, withClient } from "../session.ts";
import { watchFlags } from "../tree-key-value.ts";
import {
  type WatchVariables,
  watchArguments,
  watchRangeProblem,
  watchVariableNames,
  watchVariables,
} from "../watch-arguments.ts";

export async function run(line: CommandLine, output: Output): Promise<number> {
  const variables = watchVariables();
  const options = { ownVariables: watchVariableNames };
  if (line.flags.bool("interactive")) {
    return withClient(line, output, (session) => interact(session, variables), options);
  }
  const { keys, command } = watchArguments(line.words, line.wordsBeforeDash, variables);
  const problem = watchRangeProblem(line.flags, keys);
  if (problem !== undefined) throw Failure.badArguments(problem);
  return withClient(
    line,
    output,
    async ({ client, printer }) => {
      await follow(startWatch(client, line.flags, keys), command, printer, output);
      throw new Failure(ExitCode.interrupted, "watch is canceled by the server");
    },
    options,
  );
}

function startWatch(client: Client, flags: FlagSet, keys: readonly string[]): Watch {
  const options = {
    startRevision: flags.int("rev"),
    prevKv: flags.bool("prev-kv"),
    progressNotify: flags.bool("progress-notify"),
    requireLeader: true,
  };
  const key = textToBytes(keys[0] as string);
  if (flags.bool("prefix")) return client.watch({ prefix: key, ...options });
  const end = keys[1];
  return client.watch(
    end === undefined ? { key, ...options } : { key, end: textToBytes(end), ...options },
  );
}

/** Prints the responses of a watch and runs the command for its events, until the member ends it. */
async function follow(
  watch: Watch,
  command: readonly string[],
  printer: Printer,
  output: Output,
): Promise<void> {
  let last: WatchResponse | undefined;
  try {
    for await (const response of watch.responses()) {
      if (response.canceled) {
        last = response; // Printed below, behind its reason.
        continue;
      }
      if (response.events.length === 0) {
        output.out(`progress notify: ${response.header?.revision ?? 0}\n`);
      }
      printer.watch(response);
      if (command.length > 0) await runForEvents(command, response, output);
    }
  } catch (error) {
    if (!isCallError(error)) throw error;
    const reason = last?.cancelReason ?? "";
    output.err(`watch was canceled (${reason === "" ? messageOf(error) : reason})\n`);
    const refusal = new WatchResponse();
    refusal.canceled = true;
    if (last !== undefined) {
      refusal.header = last.header;
      refusal.compactRevision = last.compactRevision;
    }
    printer.watch(refusal);
  }
}

async function runForEvents(
  command: readonly string[],
  response: WatchResponse,
  output: Output,
): Promise<void> {
  for (const event of response.events) {
    const end = await runCommand(command, {
      ETCD_WATCH_REVISION: String(response.header?.revision ?? 0),
      ETCD_WATCH_EVENT_TYPE: event.type === 0 ? '"PUT"' : '"DELETE"',
      ETCD_WATCH_KEY: quote(event.kv?.key ?? ""),
      ETCD_WATCH_VALUE: quote(event.kv?.value ?? ""),
    });
    if (end.problem !== undefined) {
      output.err(`command ${quoteList(command)} error (${end.problem})\n`);
      throw Failure.silent(ExitCode.error);
    }
  }
}

/** Reads lines and starts what they ask for; ends with the input. */
async function interact(session: Session, variables: WatchVariables): Promise<number> {
  const { printer, output } = session;
  let fail: (error: unknown) => void = () => undefined;
  // A command that fails in one watch ends all.
  const failed = new Promise<never>((_resolve, reject) => {
    fail = reject;
  });
  const watches: Watch[] = [];
  try {
    for (;;) {
      const line = await Promise.race([inputLines().next(), failed]);
      if (line === undefined) {
        throw new Failure(ExitCode.invalidInput, "error reading watch request line: EOF");
      }
      const watch = obey(line.trim(), session, variables, watches);
      if (watch === undefined) continue;
      watches.push(watch.started);
      follow(watch.started, watch.command, printer, output).catch(fail);
    }
  } finally {
    for (const watch of watches) watch.close();
  }
}

/** Does what a line asks for; gives the watch that it started. */
function obey(
  line: string,
  { client, output }: Session,
  variables: WatchVariables,
  watches: readonly Watch[],
): { readonly started: Watch; readonly command: readonly string[] } | undefined {
  const complain = (text: string): undefined => {
    output.err(`Invalid command${text}\n`);
    return undefined;
  };
  const [verb, ...rest] = splitWords(line);
  if (verb === undefined) return complain(`: ${line} (watch and progress supported)`);
  if (verb === "progress") {
    watches[0]?.requestProgress();
    return undefined;
  }
  if (verb !== "watch") return complain(` ${line} (only support watch)`);
  if (rest.length === 0 && variables.key === "" && variables.rangeEnd === "") {
    return complain(` ${line} (command type or key is not provided)`);
  }
  const { flags, words, wordsBeforeDash } = lineFlags(rest);
  const { keys, command } = watchArguments(words, wordsBeforeDash, variables);
  const problem = watchRangeProblem(flags, keys);
  if (problem !== undefined) return complain(` ${line} (${problem})`);
  return { started: startWatch(client, flags, keys), command };
}

/** The flags of an interactive line; those of the command line do not count. */
function lineFlags(words: readonly string[]): {
  flags: FlagSet;
  words: readonly string[];
  wordsBeforeDash: number | undefined;
} {
  const flags = new FlagSet(flagsOf([{ name: "watch", short: "", flags: watchFlags }]));
  try {
    const read = readFlags(flags, words);
    return { flags, words: read.words, wordsBeforeDash: read.wordsBeforeDash };
  } catch (error) {
    if (error instanceof UsageError) throw Failure.badArguments(error.message);
    throw error;
  }
}
