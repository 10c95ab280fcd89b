// A store of a million keys: memory, restart, and questions that should not depend on its size.

import { readdirSync, statSync } from "node:fs";
import { get } from "node:http";
import { join } from "node:path";
import { decodeRangeResponse, encodeRangeRequest, RangeRequest } from "@etcd-ts/api";
import { type Programs, RawClient } from "@etcd-ts/conformance";
import { pause } from "./load.ts";
import { processStats } from "./process-stats.ts";
import { preload } from "./scenarios.ts";
import { startForBench } from "./server.ts";

export interface LargeStoreResult {
  readonly loadedBytes: number;
  readonly restartedBytes: number;
  /** From the start of the process to the answer to a linearizable read. */
  readonly restartMs: number;
  readonly limitOneMs: number;
  readonly countMs: number;
  /** Ours only: 0 for a server that does not tell. */
  readonly longestStallMs: number;
  readonly directoryBytes: number;
}

const repeats = 21;

export async function measureLargeStore(
  programs: Programs,
  keyCount: number,
  dataDir: string,
  progress: (text: string) => void,
): Promise<LargeStoreResult> {
  let server = await startForBench(programs, { dataDir });
  try {
    let shown = 0;
    await preload(server.endpoint, keyCount, (done) => {
      if (done < shown + keyCount / 4) return;
      shown = done;
      progress(`large store, ${programs.name}: ${done} of ${keyCount} keys`);
    });
    await pause(2_000);
    const loadedBytes = processStats(server.pid).residentBytes;
    const stallLoaded = await longestStallMs(server.endpoint);
    await server.stop();
    const startMs = performance.now();
    server = await startForBench(programs, {
      dataDir,
      clientPort: server.clientPort,
      peerPort: server.peerPort,
    });
    const client = new RawClient(server.endpoint);
    try {
      const first = await ask(client, 1n, false);
      const restartMs = performance.now() - startMs;
      if (first.count !== keyCount) throw new Error(`${first.count} keys came back of ${keyCount}`);
      const limitOneMs = await medianMs(() => ask(client, 1n, false));
      const countMs = await medianMs(() => ask(client, 0n, true));
      await pause(1_000);
      return {
        loadedBytes,
        restartedBytes: processStats(server.pid).residentBytes,
        restartMs,
        limitOneMs,
        countMs,
        longestStallMs: Math.max(stallLoaded, await longestStallMs(server.endpoint)),
        directoryBytes: folderBytes(dataDir),
      };
    } finally {
      client.close();
    }
  } finally {
    await server.stop();
  }
}

async function ask(
  client: RawClient,
  limit: bigint,
  countOnly: boolean,
): Promise<{ count: number }> {
  const range = new RangeRequest();
  range.key = new Uint8Array([0]);
  range.rangeEnd = new Uint8Array([0]);
  range.limit = limit;
  range.countOnly = countOnly;
  const answer = await client.unary("/etcdserverpb.KV/Range", encodeRangeRequest(range));
  return { count: Number(decodeRangeResponse(answer).count) };
}

async function medianMs(run: () => Promise<unknown>): Promise<number> {
  const samples: number[] = [];
  for (let n = 0; n < repeats; n++) {
    const startMs = performance.now();
    await run();
    samples.push(performance.now() - startMs);
  }
  samples.sort((a, b) => a - b);
  return samples[Math.floor(repeats / 2)] as number;
}

/** `etcd_ts_event_loop_stall_max_seconds` of our `/metrics`. */
async function longestStallMs(endpoint: string): Promise<number> {
  const text = await new Promise<string>((resolve, reject) => {
    get(`http://${endpoint}/metrics`, (response) => {
      let body = "";
      response.setEncoding("utf8").on("data", (part: string) => {
        body += part;
      });
      response.on("end", () => resolve(body));
    }).on("error", reject);
  });
  const found = /^etcd_ts_event_loop_stall_max_seconds (\S+)/m.exec(text);
  return found === null ? 0 : Number(found[1]) * 1000;
}

function folderBytes(folder: string): number {
  let bytes = 0;
  for (const entry of readdirSync(folder, { withFileTypes: true })) {
    const path = join(folder, entry.name);
    if (entry.isDirectory()) bytes += folderBytes(path);
    // Blocks, not lengths: preallocated and mapped files are sparse.
    else bytes += statSync(path).blocks * 512;
  }
  return bytes;
}
