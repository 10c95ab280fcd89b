// The backend on a real disk. Small with the tests, larger by hand:
//
//     node --expose-gc packages/lmdb/dist/test/backend.bench.js [puts] [puts per commit]

import assert from "node:assert/strict";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import { emptyBytes } from "@etcd-ts/base";
import { LmdbBackend } from "../src/index.ts";
import { revisionKey } from "./numbered.ts";

interface BackendFigures {
  readonly putsPerSecond: number;
  /** On the main thread, the commit's share included. */
  readonly putMicros: number;
  readonly longestCommitCallMs: number;
  /** All threads. */
  readonly cpuMicros: number;
  readonly getMicros: number;
  readonly getFromOverlayMicros: number;
  readonly scanMicros: number;
  readonly fileBytes: number;
  readonly rssBytes: number;
  readonly reopenMs: number;
}

async function measure(count: number, perCommit: number): Promise<BackendFigures> {
  const directory = mkdtempSync(join(tmpdir(), "etcd-ts-lmdb-"));
  try {
    const backend = await LmdbBackend.open(directory);
    const commit = (): Promise<void> =>
      new Promise((resolve, reject) => {
        backend.commit((error) => (error ? reject(error) : resolve()));
      });
    await commit();
    let putMs = 0;
    let longestMs = 0;
    const startMs = performance.now();
    const startCpu = process.cpuUsage();
    for (let done = 0; done < count; done += perCommit) {
      const keys = Array.from({ length: perCommit }, (_, i) => revisionKey(done + i + 1));
      const values = keys.map(() => Buffer.allocUnsafe(300));
      let beganMs = performance.now();
      for (let i = 0; i < perCommit; i++) backend.put("key", keys[i]!, values[i]!);
      putMs += performance.now() - beganMs;
      beganMs = performance.now();
      const committed = commit();
      longestMs = Math.max(longestMs, performance.now() - beganMs);
      putMs += performance.now() - beganMs;
      await committed;
    }
    const wallMs = performance.now() - startMs;
    const cpu = process.cpuUsage(startCpu);
    globalThis.gc?.();
    const rssBytes = process.memoryUsage().rss;
    const sample = Array.from({ length: Math.min(count, 100_000) }, (_, i) =>
      revisionKey(((i * 7919) % count) + 1),
    );
    const getMicros = perItem(sample.length, () => {
      for (const key of sample) backend.get("key", key);
    });
    const scanMicros = perItem(count, () => {
      let seen = 0;
      backend.scan("key", emptyBytes, undefined, Number.POSITIVE_INFINITY, () => ++seen > 0);
      assert.equal(seen, count);
    });
    for (const key of sample) backend.put("key", key, key);
    const getFromOverlayMicros = perItem(sample.length, () => {
      for (const key of sample) backend.get("key", key);
    });
    await backend.close();
    const reopenStartMs = performance.now();
    const again = await LmdbBackend.open(directory);
    const reopenMs = performance.now() - reopenStartMs;
    const { allocatedBytes } = again.size();
    await again.close();
    return {
      putsPerSecond: Math.round((count / wallMs) * 1000),
      putMicros: (putMs * 1000) / count,
      longestCommitCallMs: longestMs,
      cpuMicros: (cpu.user + cpu.system) / count,
      getMicros,
      getFromOverlayMicros,
      scanMicros,
      fileBytes: allocatedBytes,
      rssBytes,
      reopenMs,
    };
  } finally {
    rmSync(directory, { recursive: true });
  }
}

function perItem(count: number, run: () => void): number {
  const startMs = performance.now();
  run();
  return ((performance.now() - startMs) * 1000) / count;
}

if (process.argv[1]?.endsWith("backend.bench.js")) {
  const [count = "200000", perCommit = "1000"] = process.argv.slice(2);
  const figures = await measure(Number(count), Number(perCommit));
  process.stdout.write(`${JSON.stringify(figures, undefined, 2)}\n`);
} else {
  test("puts, reads and scans (benchmark, small)", async () => {
    const figures = await measure(4_000, 1_000);
    assert.ok(figures.fileBytes > 4_000 * 300);
  });
}
