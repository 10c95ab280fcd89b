// `elect`: takes part in an election, or with `-l` watches who leads.

import { Election, observeElection, Session } from "@etcd-ts/client";
import { textToBytes } from "../../shared/byte-text.ts";
import type { CommandLine } from "../../shared/command-line.ts";
import { ExitCode, Failure } from "../../shared/exit.ts";
import type { Output } from "../../shared/output.ts";
import { catchInterrupt, type Interrupt, Interrupted } from "../interrupt.ts";
import { type Session as Connection, withClient } from "../session.ts";
import { claimed } from "./lock.ts";

export async function run(line: CommandLine, output: Output): Promise<number> {
  const [name, proposal, ...more] = line.words;
  if (name === undefined || more.length > 0) {
    throw Failure.badArguments(
      "elect takes one election name argument and an optional proposal argument",
    );
  }
  const listen = line.flags.bool("listen");
  if (proposal === undefined && !listen) {
    throw Failure.badArguments("no proposal argument but -l not set");
  }
  if (proposal !== undefined && listen) {
    throw Failure.badArguments("proposal given but -l is set");
  }
  using interrupt = catchInterrupt();
  return await withClient(line, output, (connection) =>
    proposal === undefined
      ? observe(connection, name, interrupt)
      : campaign(connection, name, proposal, interrupt),
  );
}

async function observe(
  { client, printer }: Connection,
  name: string,
  interrupt: Interrupt,
): Promise<number> {
  try {
    const leaders = observeElection(client, textToBytes(name), { signal: interrupt.signal });
    for await (const response of leaders) printer.get(response, false);
  } catch (error) {
    if (error instanceof Interrupted) return ExitCode.success;
    throw error;
  }
  throw new Failure(ExitCode.error, "elect: observer lost");
}

async function campaign(
  { client, printer }: Connection,
  name: string,
  proposal: string,
  interrupt: Interrupt,
): Promise<number> {
  const session = await claimed(Session.open(client, { signal: interrupt.signal }));
  try {
    const election = new Election(session, textToBytes(name));
    await claimed(election.campaign(textToBytes(proposal), { signal: interrupt.signal }));
    printer.get(await client.kv.range({ key: election.key }), false);
    await Promise.race([interrupt.received, session.ended]);
    if (!interrupt.signal.aborted) throw new Failure(ExitCode.error, "elect: session expired");
    await election.resign();
    return ExitCode.success;
  } finally {
    session.abandon();
  }
}
