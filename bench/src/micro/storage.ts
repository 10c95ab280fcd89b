// The log: records in memory, and appends that are synced.

import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import {
  type Bytes,
  concatBytes,
  crc32c,
  SeededRandom,
  sizeVarint,
  writeVarint,
} from "@etcd-ts/base";
import { nodeHost, silentLog } from "@etcd-ts/node";
import { internal, mustEqual, mustEqualBytes } from "./internals.ts";
import type { MicroBenchmark } from "./micro-benchmark.ts";
import { repeat } from "./rpc.ts";

type Encoder = typeof import("../../../packages/storage/src/wal-encoder.ts");
type Storage = typeof import("../../../packages/storage/src/index.ts");
type Raft = typeof import("../../../packages/raft/src/index.ts");
type Entry = import("../../../packages/raft/src/index.ts").Entry;

const batch = 100;
const walEntryType = 2;

async function makeEntries(): Promise<Entry[]> {
  const { Entry } = await internal<Raft>("raft/dist/src/index.js");
  const data = new SeededRandom(4).bytes(300);
  return Array.from({ length: batch }, (_, n) => {
    const entry = new Entry();
    entry.term = 2;
    entry.index = n + 1;
    entry.data = data;
    return entry;
  });
}

export const logEncode: MicroBenchmark = {
  name: "log-encode",
  title: "records of a hundred entries",
  async prepare() {
    const { WalEncoder } = await internal<Encoder>("storage/dist/src/wal-encoder.js");
    const { encodeEntry } = await internal<Raft>("raft/dist/src/index.js");
    const entries = await makeEntries();
    const encodeWith = (encoder: InstanceType<typeof WalEncoder>): Bytes => {
      for (const entry of entries) encoder.entry(entry);
      return encoder.take();
    };
    const encoder = new WalEncoder(0);
    const plainly = (): Bytes => {
      const parts: Bytes[] = [];
      let chain = 0;
      for (const entry of entries) {
        const data = encodeEntry(entry);
        chain = crc32c(chain, data);
        parts.push(record(walEntryType, chain, data));
      }
      return concatBytes(parts);
    };
    return {
      unit: "hundred entries",
      fast: {
        run: (count) =>
          repeat(count, () => {
            const taken = encodeWith(encoder);
            encoder.giveBack(taken);
            return taken.length;
          }),
      },
      plain: { what: "an array for each record", run: (count) => repeat(count, plainly) },
      check: () => mustEqualBytes(encodeWith(new WalEncoder(0)), plainly(), "records"),
    };
  },
};

/** length word · type · checksum · data · padding to 8 bytes */
function record(type: number, crc: number, data: Bytes): Bytes {
  const length = 2 + 1 + sizeVarint(crc) + 1 + sizeVarint(data.length) + data.length;
  const padding = -length & 7;
  const bytes = new Uint8Array(8 + length + padding);
  new DataView(bytes.buffer).setUint32(0, length, true);
  bytes[7] = padding === 0 ? 0 : 0x80 | padding;
  bytes.set([8, type, 16], 8);
  const at = writeVarint(bytes, 11, crc);
  bytes[at] = 26;
  bytes.set(data, writeVarint(bytes, at + 1, data.length));
  return bytes;
}

export const logAppend: MicroBenchmark = {
  name: "log-append",
  title: "a hundred entries appended and synced, on the disk of temporary files",
  async prepare() {
    const { Wal } = await internal<Storage>("storage/dist/src/index.js");
    const { HardState } = await internal<Raft>("raft/dist/src/index.js");
    const entries = await makeEntries();
    const folder = mkdtempSync(join(tmpdir(), "etcd-bench-micro-"));
    const host = nodeHost({ log: silentLog });
    const wal = await Wal.create(host, join(folder, "wal"), { nodeId: 1n, clusterId: 2n });
    let index = 0;
    const append = async (): Promise<number> => {
      const state = new HardState();
      state.term = 2;
      state.commit = index;
      for (const entry of entries) entry.index = ++index;
      await new Promise<void>((resolve, reject) => {
        wal.append(state, entries, true, (error) => (error ? reject(error) : resolve()));
      });
      return index;
    };
    let checked = 0;
    return {
      unit: "hundred entries",
      fast: {
        async run(count) {
          for (let n = 0; n < count; n++) await append();
          return index;
        },
      },
      async check() {
        const syncs = wal.syncCount;
        checked = await append();
        mustEqual(checked, batch, "entries");
        mustEqual(wal.syncCount, syncs + 1, "syncs of a batch");
      },
      async close() {
        await wal.close();
        rmSync(folder, { recursive: true, force: true });
      },
    };
  },
};
