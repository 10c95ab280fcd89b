// `check perf`: does the cluster keep up with a load for a minute? `check datascale`: how much memory does a
// number of keys cost a member? Both clean up behind themselves, also when they are interrupted; then they say
// nothing about the cluster.

import type { Client } from "@etcd-ts/client";
import { textToBytes } from "../../shared/byte-text.ts";
import type { CommandModule } from "../../shared/command.ts";
import { ExitCode, Failure } from "../../shared/exit.ts";
import type { FlagSet } from "../../shared/flags.ts";
import { quote } from "../../shared/go-quote.ts";
import type { Output } from "../../shared/output.ts";
import { isCallError, messageOf } from "../failures.ts";
import { catchInterrupt, type Interrupt, Interrupted } from "../interrupt.ts";
import { type LoadResult, runLoad, standardDeviation } from "../load.ts";
import { residentBytes } from "../metrics.ts";
import { ProgressBar } from "../progress-bar.ts";
import { type Session, withClient } from "../session.ts";
import { prefixEnd } from "../values.ts";

interface Load {
  readonly writesPerSecond: number;
  readonly keys: number;
  readonly clients: number;
}

const small: Load = { writesPerSecond: 150, keys: 10_000, clients: 50 };
const medium: Load = { writesPerSecond: 1_000, keys: 100_000, clients: 200 };
const large: Load = { writesPerSecond: 8_000, keys: 1_000_000, clients: 500 };
const xLarge: Load = { writesPerSecond: 15_000, keys: 3_000_000, clients: 1_000 };

const loads: ReadonlyMap<string, Load> = new Map([
  ["s", small],
  ["small", small],
  ["m", medium],
  ["medium", medium],
  ["l", large],
  ["large", large],
  ["xl", xLarge],
  ["xLarge", xLarge],
]);

const perfSeconds = 60;
const perfKeyBytes = 256;
const perfValueBytes = 1024;
const slowestSecondsMax = 0.5;
const stddevSecondsMax = 0.1;
const throughputShareMin = 0.9;

const scaleBytes = 512;
const cleanupMs = 30_000;
const interruptedCleanupMs = 3_000;
/** How long puts under way are waited for at the end. */
const graceMs = 2_000;
/** Connections that the concurrent calls share; each carries many at once. */
const connectionsMax = 8;

export const perf: CommandModule = {
  async run(line, output) {
    const load = loadOf(line.flags);
    using interrupt = catchInterrupt();
    return await withClient(line, output, (session) =>
      interruptible(() => runPerf(session, load, interrupt)),
    );
  },
};

export const dataScale: CommandModule = {
  async run(line, output) {
    const load = loadOf(line.flags);
    using interrupt = catchInterrupt();
    return await withClient(line, output, (session) =>
      interruptible(() => runDataScale(session, load, interrupt)),
    );
  },
};

async function runPerf(session: Session, load: Load, interrupt: Interrupt): Promise<number> {
  const { host, output } = session;
  const prefix = await unusedPrefix(session, (it) => `'etcdctl del --prefix ${it}'`, interrupt);
  // Ends the load: the minute, or who cannot wait for it.
  const over = new AbortController();
  const minute = host.timers.after(perfSeconds * 1000, () => over.abort());
  interrupt.signal.addEventListener("abort", () => over.abort());
  const bar = new ProgressBar(perfSeconds, output);
  const startedMs = host.clock.monotonicMs();
  const ticking = setInterval(
    () => bar.set(Math.floor((host.clock.monotonicMs() - startedMs) / 1000)),
    1000,
  );
  const value = Buffer.alloc(perfValueBytes);
  const clients = openClients(session);
  let result: LoadResult;
  try {
    result = await runLoad({
      clients,
      concurrency: load.clients,
      clock: host.clock,
      timers: host.timers,
      ratePerSecond: load.writesPerSecond,
      signal: over.signal,
      graceMs,
      next: () => ({ key: randomKey(session, prefix, perfKeyBytes), value }),
    });
  } finally {
    clearInterval(ticking);
    minute.cancel();
    for (const client of clients) client.close();
  }
  if (!interrupt.signal.aborted) bar.set(perfSeconds);
  bar.finish();
  if (interrupt.signal.aborted) return await giveUp(session, prefix);
  const isClean = await cleanUp(session, prefix);
  const isGood = judge(result, load, output);
  output.out(isGood && isClean ? "PASS\n" : "FAIL\n");
  return isGood && isClean ? ExitCode.success : ExitCode.error;
}

async function runDataScale(session: Session, load: Load, interrupt: Interrupt): Promise<number> {
  const { host, output } = session;
  const prefix = await unusedPrefix(session, (it) => `etcdctl del --prefix ${it}`, interrupt);
  const before = await memory(session, "before", interrupt);
  if (before === undefined) return ExitCode.error;
  output.out(
    `Start data scale check for work load [${load.keys} key-value pairs, ${2 * scaleBytes} bytes per key-value, ${load.clients} concurrent clients].\n`,
  );
  const clients = openClients(session);
  const value = Buffer.from(host.random.bytes(scaleBytes));
  let result: LoadResult;
  try {
    result = await runLoad({
      clients,
      concurrency: load.clients,
      clock: host.clock,
      timers: host.timers,
      signal: interrupt.signal,
      graceMs,
      next: (n) =>
        n < load.keys
          ? { key: Buffer.concat([prefix, host.random.bytes(scaleBytes)]), value }
          : undefined,
    });
  } finally {
    for (const client of clients) client.close();
  }
  if (interrupt.signal.aborted) return await giveUp(session, prefix);
  const after = await memory(session, "after", interrupt);
  const isClean = await cleanUp(session, prefix);
  if (after === undefined) return ExitCode.error;
  if (result.errors.size > 0) {
    reportErrors(result, output);
    return ExitCode.error;
  }
  const megabytes = (after - before) / (1024 * 1024);
  output.out(`PASS: Approximate system memory used : ${megabytes.toFixed(2)} MB.\n`);
  return isClean ? ExitCode.success : ExitCode.error;
}

/** Runs a check of which nothing is left when it throws `Interrupted`. */
async function interruptible(check: () => Promise<number>): Promise<number> {
  try {
    return await check();
  } catch (error) {
    if (!(error instanceof Interrupted)) throw error;
    throw new Failure(ExitCode.interrupted, "interrupted before the check began", { cause: error });
  }
}

/** Ends a check that was interrupted: deletes its keys, says nothing about the cluster. */
async function giveUp({ client }: Session, prefix: Buffer): Promise<never> {
  let rest = "its keys were deleted";
  try {
    await deleteKeys(client, prefix, interruptedCleanupMs);
  } catch (error) {
    if (!isCallError(error)) throw error;
    rest = `its keys could not be deleted (${messageOf(error)}), use 'etcdctl del --prefix ${prefix}'`;
  }
  throw new Failure(ExitCode.interrupted, `the check was interrupted, ${rest}`);
}

function loadOf(flags: FlagSet): Load {
  const name = flags.string("load");
  const load = loads.get(name);
  if (load === undefined) throw new Failure(ExitCode.badFeature, `unknown load option ${name}`);
  return load;
}

/** The prefix for the keys of the check, under which there must be none yet. */
async function unusedPrefix(
  { client, flags }: Session,
  remedy: (prefix: string) => string,
  { signal }: Interrupt,
): Promise<Buffer> {
  const text = flags.string("prefix");
  const prefix = Buffer.from(textToBytes(text));
  const request = { key: prefix, rangeEnd: prefixEnd(prefix), limit: 1n };
  const { kvs } = await client.kv.range(request, { signal });
  if (kvs.length > 0) {
    throw new Failure(
      ExitCode.invalidInput,
      `prefix ${quote(text)} has keys. Delete with ${remedy(text)} first`,
    );
  }
  return prefix;
}

function openClients({ client }: Session): Client[] {
  return Array.from({ length: connectionsMax }, () => client.at(...client.endpoints));
}

/** The prefix and `size` bytes, of which a few are random. */
function randomKey({ host }: Session, prefix: Buffer, size: number): Uint8Array {
  const key = Buffer.alloc(prefix.length + size);
  prefix.copy(key);
  key.set(host.random.bytes(8), prefix.length);
  return key;
}

/** Deletes the keys of the check, compacts and defragments if asked to; false when that failed. */
async function cleanUp({ client, flags, output }: Session, prefix: Buffer): Promise<boolean> {
  const limited = { timeoutMs: cleanupMs };
  let revision: number;
  try {
    revision = await deleteKeys(client, prefix, cleanupMs);
  } catch (error) {
    if (!isCallError(error)) throw error;
    output.out(`FAIL: Cleanup failed during key deletion: ERROR(${messageOf(error)})\n`);
    return false;
  }
  if (flags.bool("auto-compact")) {
    output.out(`Compacting with revision ${revision}\n`);
    await client.compact(revision, { physical: true, ...limited });
    output.out(`Compacted with revision ${revision}\n`);
  }
  if (flags.bool("auto-defrag")) {
    for (const endpoint of client.endpoints) {
      output.out(`Defragmenting ${quote(endpoint)}\n`);
      await using member = client.at(endpoint);
      await member.maintenance.defragment(limited);
      output.out(`Defragmented ${quote(endpoint)}\n`);
    }
  }
  return true;
}

/** Deletes the keys of the check; gives the revision of that. */
async function deleteKeys(client: Client, prefix: Buffer, timeoutMs: number): Promise<number> {
  const range = { key: prefix, rangeEnd: prefixEnd(prefix) };
  return (await client.kv.deleteRange(range, { timeoutMs })).header?.revision ?? 0;
}

/** Says how the minute went; true when it went well. */
function judge(result: LoadResult, load: Load, output: Output): boolean {
  let isGood = true;
  const say = (isFine: boolean, fine: string, bad: string): void => {
    output.out(isFine ? `PASS: ${fine}\n` : `${bad}\n`);
    isGood &&= isFine;
  };
  if (result.errors.size > 0) {
    reportErrors(result, output);
    isGood = false;
  }
  const { latenciesMs } = result;
  const rate = latenciesMs.length / (result.tookMs / 1000);
  const shownRate = Math.floor(rate) + 1;
  say(
    rate / load.writesPerSecond > throughputShareMin,
    `Throughput is ${shownRate} writes/s`,
    `FAIL: Throughput too low: ${shownRate} writes/s`,
  );
  const slowest = latenciesMs.reduce((most, it) => Math.max(most, it), 0) / 1000;
  say(
    slowest <= slowestSecondsMax,
    `Slowest request took ${slowest.toFixed(6)}s`,
    `Slowest request took too long: ${slowest.toFixed(6)}s`,
  );
  const deviation = standardDeviation(latenciesMs) / 1000;
  say(
    deviation <= stddevSecondsMax,
    `Stddev is ${deviation.toFixed(6)}s`,
    `Stddev too high: ${deviation.toFixed(6)}s`,
  );
  return isGood;
}

function reportErrors(result: LoadResult, output: Output): void {
  output.out("FAIL: too many errors\n");
  for (const [error, count] of result.errors) output.out(`FAIL: ERROR(${error}) -> ${count}\n`);
}

async function memory(
  session: Session,
  when: "before" | "after",
  { signal }: Interrupt,
): Promise<number | undefined> {
  try {
    return await residentBytes(session, when === "before" ? signal : undefined);
  } catch (error) {
    if (signal.aborted && when === "before") throw signal.reason;
    session.output.out(`${error instanceof Error ? error.message : String(error)}\n`);
    session.output.out(
      `FAIL: Could not read process_resident_memory_bytes ${when} the put operations.\n`,
    );
    return undefined;
  }
}
