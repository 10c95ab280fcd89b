// The log on a real disk. Small with the tests, larger by hand:
//
//     node packages/storage/dist/test/wal.bench.js [entries] [entries per turn] [bytes]

import assert from "node:assert/strict";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import { nodeHost, silentLog } from "@etcd-ts/node";
import { readWal, Wal } from "../src/index.ts";
import { entry, metadata, state } from "./fixtures.ts";

interface WalFigures {
  readonly appendsPerSecond: number;
  readonly encodeMicros: number;
  readonly cpuMicros: number;
  readonly syncCount: number;
  readonly syncMedianMs: number;
  readonly readMicros: number;
}

/** One append per entry, all of a turn at once, the next turn when the last is durable. */
async function measure(count: number, perTurn: number, bytes: number): Promise<WalFigures> {
  const base = mkdtempSync(join(tmpdir(), "etcd-ts-storage-"));
  const host = nodeHost({ log: silentLog });
  const syncs: number[] = [];
  try {
    const wal = await Wal.create(host, `${base}/wal`, metadata, {
      segmentBytes: Math.max(1 << 20, Math.min(64_000_000, count * bytes)),
      observer: { synced: (ms) => syncs.push(ms) },
    });
    const data = new Uint8Array(bytes).fill(7);
    let index = 0;
    let encodeMs = 0;
    const startMs = performance.now();
    const startCpu = process.cpuUsage();
    while (index < count) {
      await new Promise<void>((resolve, reject) => {
        const beganMs = performance.now();
        let waiting = Math.min(perTurn, count - index);
        for (let i = waiting; i > 0; i--) {
          index++;
          wal.append(
            i === 1 ? state(1, 1n, index - 1) : undefined,
            [entry(index, 1, data)],
            true,
            (error) => {
              if (error) reject(error);
              else if (--waiting === 0) resolve();
            },
          );
        }
        encodeMs += performance.now() - beganMs;
      });
    }
    const wallMs = performance.now() - startMs;
    const cpu = process.cpuUsage(startCpu);
    const { syncCount } = wal;
    await wal.close();
    const readCpu = process.cpuUsage();
    const content = await readWal(host.disk, `${base}/wal`);
    const { user, system } = process.cpuUsage(readCpu);
    assert.equal(content.entries.length, count);
    syncs.sort((a, b) => a - b);
    return {
      appendsPerSecond: Math.round((count / wallMs) * 1000),
      encodeMicros: (encodeMs * 1000) / count,
      cpuMicros: (cpu.user + cpu.system) / count,
      syncCount,
      syncMedianMs: syncs[syncs.length >> 1] ?? 0,
      readMicros: (user + system) / count,
    };
  } finally {
    rmSync(base, { recursive: true });
  }
}

if (process.argv[1]?.endsWith("wal.bench.js")) {
  const [count = "400000", perTurn = "500", bytes = "300"] = process.argv.slice(2);
  const figures = await measure(Number(count), Number(perTurn), Number(bytes));
  process.stdout.write(`${JSON.stringify(figures, undefined, 2)}\n`);
} else {
  test("a turn's appends cost one sync (benchmark, small)", async () => {
    const figures = await measure(2_000, 200, 300);
    assert.equal(figures.syncCount, 10);
  });
}
