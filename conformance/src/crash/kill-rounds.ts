// Crash safety of a real process: writers keep a server busy, `kill -9` ends it at a random moment, it is
// started again on the same directory, and everything that was acknowledged must be there:
//
//  - each writer's key holds a number between the last one acknowledged and the last one tried;
//  - the two keys of a transaction hold the same number: none is torn;
//  - the store's revision has not gone back, and the next write gets a higher one;
//  - the history is whole: a watch from before the crash sees, for every key, each acknowledged write;
//  - leases live on with the TTL that was granted, keys attached.

import {
  decodeLeaseTimeToLiveResponse,
  decodePutResponse,
  decodeRangeResponse,
  decodeTxnResponse,
  decodeWatchResponse,
  encodeLeaseGrantRequest,
  encodeLeaseTimeToLiveRequest,
  encodePutRequest,
  encodeRangeRequest,
  encodeTxnRequest,
  encodeWatchRequest,
  LeaseGrantRequest,
  LeaseTimeToLiveRequest,
  PutRequest,
  RangeRequest,
  RequestOp,
  TxnRequest,
  WatchCreateRequest,
  WatchRequest,
} from "@etcd-ts/api";
import { bytesToUtf8, type SeededRandom, utf8ToBytes } from "@etcd-ts/base";
import type { Programs } from "../programs.ts";
import { RawClient, RawError } from "../raw-client.ts";
import { ServerProcess } from "../server-process.ts";

export interface KillOptions {
  readonly programs: Programs;
  readonly dataDir: string;
  readonly random: SeededRandom;
  readonly rounds: number;
  readonly writerCount: number;
  /** The kill comes at most so long after the load began. */
  readonly loadMsMax: number;
  readonly args?: readonly string[];
  readonly progress?: (round: number, acknowledged: number) => void;
}

/** A kill with little written before it shows little: on a busy machine it waits for so many, for a while. */
const writeCountMin = 60;
const writeMsMax = 30_000;
const leaseTtl = 100_000n;
const watchMs = 30_000;

/** Runs all rounds or throws with what was lost; gives the number of acknowledged writes. */
export async function killRounds(options: KillOptions): Promise<number> {
  const writers = Array.from({ length: options.writerCount }, (_, n) => new Writer(n));
  let acknowledged = 0;
  let server = await start(options, undefined);
  const leaseId = await grantLease(server);
  try {
    for (let round = 1; round <= options.rounds; round++) {
      const client = new RawClient(server.endpoint);
      const goal = acknowledgedBy(writers) + writeCountMin;
      const load = Promise.all(writers.map((writer) => writer.run(client)));
      await pause(20 + options.random.below(options.loadMsMax));
      const endMs = performance.now() + writeMsMax;
      while (acknowledgedBy(writers) < goal && performance.now() < endMs) await pause(1);
      await server.kill();
      for (const writer of writers) writer.stop();
      await load;
      client.close();
      server = await start(options, server);
      acknowledged = acknowledgedBy(writers);
      await verify(server, writers, leaseId);
      options.progress?.(round, acknowledged);
    }
  } finally {
    await server.kill();
  }
  return acknowledged;
}

function acknowledgedBy(writers: readonly Writer[]): number {
  return writers.reduce((sum, it) => sum + it.acknowledgedCount, 0);
}

async function start(
  options: KillOptions,
  before: ServerProcess | undefined,
): Promise<ServerProcess> {
  return await ServerProcess.start(options.programs, {
    dataDir: options.dataDir,
    ...(before === undefined ? {} : { clientPort: before.clientPort, peerPort: before.peerPort }),
    ...(options.args === undefined ? {} : { args: options.args }),
  });
}

/** Writes ascending numbers: odd writers one key by put, even ones two keys by a transaction. */
class Writer {
  readonly keys: readonly string[];
  tried = 0;
  acknowledged = 0;
  acknowledgedCount = 0;
  /** Highest revision that was acknowledged. */
  revision = 0;
  #stopped = false;

  constructor(n: number) {
    this.keys = n % 2 === 0 ? [`crash/${n}/a`, `crash/${n}/b`] : [`crash/${n}`];
  }

  stop(): void {
    this.#stopped = true;
  }

  async run(client: RawClient): Promise<void> {
    this.#stopped = false;
    while (!this.#stopped) {
      this.tried += 1;
      try {
        const revision = await this.#write(client, String(this.tried));
        if (revision <= this.revision) {
          throw new Error(`revision ${revision} came after ${this.revision}`);
        }
        this.revision = revision;
        this.acknowledged = this.tried;
        this.acknowledgedCount += 1;
      } catch (error) {
        if (!(error instanceof RawError)) throw error;
        if (!this.#stopped) await pause(5); // the server is gone; the kill stops us in a moment
      }
    }
  }

  async #write(client: RawClient, text: string): Promise<number> {
    const puts = this.keys.map((key) => {
      const put = new PutRequest();
      put.key = utf8ToBytes(key);
      put.value = utf8ToBytes(text);
      return put;
    });
    const single = puts.length === 1 ? puts[0] : undefined;
    if (single !== undefined) {
      const answer = await client.unary("/etcdserverpb.KV/Put", encodePutRequest(single));
      return Number(decodePutResponse(answer).header?.revision);
    }
    const txn = new TxnRequest();
    txn.success = puts.map((put) => {
      const op = new RequestOp();
      op.requestPut = put;
      return op;
    });
    const answer = await client.unary("/etcdserverpb.KV/Txn", encodeTxnRequest(txn));
    return Number(decodeTxnResponse(answer).header?.revision);
  }
}

async function verify(
  server: ServerProcess,
  writers: readonly Writer[],
  leaseId: bigint,
): Promise<void> {
  const client = new RawClient(server.endpoint);
  try {
    const range = new RangeRequest();
    range.key = utf8ToBytes("crash/");
    range.rangeEnd = utf8ToBytes("crash0");
    const response = decodeRangeResponse(
      await client.unary("/etcdserverpb.KV/Range", encodeRangeRequest(range)),
    );
    const revision = Number(response.header?.revision);
    const values = new Map(
      response.kvs.map((kv) => [bytesToUtf8(kv.key), Number(bytesToUtf8(kv.value))]),
    );
    for (const writer of writers) {
      if (writer.revision > revision) {
        throw new Error(`revision went back from ${writer.revision} to ${revision}`);
      }
      const found = writer.keys.map((key) => values.get(key) ?? 0);
      for (const value of found) {
        if (value < writer.acknowledged || value > writer.tried) {
          throw new Error(
            `${writer.keys[0]} holds ${value}; acknowledged ${writer.acknowledged}, tried ${writer.tried}`,
          );
        }
        if (value !== found[0]) throw new Error(`torn transaction: ${writer.keys} hold ${found}`);
      }
      // What was in doubt is decided now: the next round goes on from there.
      writer.acknowledged = found[0] as number;
      writer.revision = revision;
    }
    await verifyHistory(client, writers, revision);
    await verifyLease(client, leaseId);
  } finally {
    client.close();
  }
}

/** Replays all events since the beginning: numbers of a key ascend and end with the present value. */
async function verifyHistory(
  client: RawClient,
  writers: readonly Writer[],
  revision: number,
): Promise<void> {
  const last = new Map<string, number>();
  const seen = new Map<string, number>();
  const message = new WatchRequest();
  message.createRequest = new WatchCreateRequest();
  message.createRequest.key = utf8ToBytes("crash/");
  message.createRequest.rangeEnd = utf8ToBytes("crash0");
  message.createRequest.startRevision = 1n;
  await new Promise<void>((resolve, reject) => {
    const timer = setTimeout(() => reject(new Error("the history did not come")), watchMs);
    const stream = client.stream("/etcdserverpb.Watch/Watch", {
      onMessage: (bytes) => {
        for (const event of decodeWatchResponse(bytes).events) {
          if (event.kv === undefined) continue;
          const key = bytesToUtf8(event.kv.key);
          const value = Number(bytesToUtf8(event.kv.value));
          if (value <= (last.get(key) ?? 0)) reject(new Error(`${key}: ${value} came again`));
          last.set(key, value);
          seen.set(key, (seen.get(key) ?? 0) + 1);
        }
        const whole = writers.every((it) =>
          it.keys.every((key) => (last.get(key) ?? 0) === it.acknowledged),
        );
        if (!whole) return;
        clearTimeout(timer);
        stream.cancel();
        resolve();
      },
      onEnd: (error) => reject(error ?? new Error("the watch stream ended")),
    });
    stream.send(encodeWatchRequest(message));
  });
  for (const writer of writers) {
    for (const key of writer.keys) {
      if ((seen.get(key) ?? 0) < writer.acknowledgedCount) {
        throw new Error(
          `${key}: ${seen.get(key)} events up to revision ${revision}, ${writer.acknowledgedCount} writes acknowledged`,
        );
      }
    }
  }
}

async function grantLease(server: ServerProcess): Promise<bigint> {
  const client = new RawClient(server.endpoint);
  try {
    const request = new LeaseGrantRequest();
    request.id = 4711n;
    request.ttl = leaseTtl;
    await client.unary("/etcdserverpb.Lease/LeaseGrant", encodeLeaseGrantRequest(request));
    const put = new PutRequest();
    put.key = utf8ToBytes("leased");
    put.lease = request.id;
    await client.unary("/etcdserverpb.KV/Put", encodePutRequest(put));
    return request.id;
  } finally {
    client.close();
  }
}

async function verifyLease(client: RawClient, id: bigint): Promise<void> {
  const request = new LeaseTimeToLiveRequest();
  request.id = id;
  request.keys = true;
  const response = decodeLeaseTimeToLiveResponse(
    await client.unary(
      "/etcdserverpb.Lease/LeaseTimeToLive",
      encodeLeaseTimeToLiveRequest(request),
    ),
  );
  const keys = response.keys.map((key) => bytesToUtf8(key)).join();
  if (
    Number(response.ttl) <= 0 ||
    Number(response.grantedTtl) !== Number(leaseTtl) ||
    keys !== "leased"
  ) {
    throw new Error(
      `the lease came back with TTL ${response.ttl} of ${response.grantedTtl}, keys ${keys}`,
    );
  }
}

function pause(ms: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, ms));
}
