// The index of keys, and applying a put.

import {
  encodeInternalRaftRequest,
  InternalRaftRequest,
  RangeRequest,
  RequestHeader,
} from "@etcd-ts/api";
import { build, bytesToKey, SeededRandom } from "@etcd-ts/base";
import { nodeHost, silentLog } from "@etcd-ts/node";
import { keyOf, putOf } from "../load/requests.ts";
import { internal, mustEqual } from "./internals.ts";
import type { MicroBenchmark } from "./micro-benchmark.ts";
import { repeat } from "./rpc.ts";

type Index = typeof import("../../../packages/machine/src/key-index.ts");
type Walks = typeof import("../../../packages/machine/src/key-walk.ts");
type Machine = typeof import("../../../packages/machine/src/index.ts");
type Storage = typeof import("../../../packages/storage/src/index.ts");
type KeyIndex = import("../../../packages/machine/src/key-index.ts").KeyIndex;

const keyCount = 100_000;

interface Filled {
  readonly index: KeyIndex;
  readonly keys: readonly string[];
  readonly order: Uint32Array;
}

/** A hundred thousand keys, and an order at random. */
async function fill(): Promise<Filled> {
  const { KeyIndex } = await internal<Index>("machine/dist/src/key-index.js");
  const index = new KeyIndex();
  const random = new SeededRandom(1);
  const keys = Array.from({ length: keyCount }, (_, n) => bytesToKey(keyOf(n)));
  keys.forEach((key, n) => {
    index.put(key, n + 2, 0);
  });
  const order = Uint32Array.from({ length: 1 << 16 }, () => random.below(keyCount));
  return { index, keys, order };
}

export const indexLook: MicroBenchmark = {
  name: "index-look",
  title: "find one of 100,000 keys",
  async prepare() {
    const { index, keys, order } = await fill();
    let next = 0;
    const key = (): string => keys[order[next++ & 0xffff] as number] as string;
    const look = (): number => {
      if (!index.look(key(), keyCount + 1)) throw new Error("a key is missing");
      return index.foundMain;
    };
    const search = (): number => lowerBound(keys, key()) + 2;
    return {
      unit: "look-up",
      fast: { run: (count) => repeat(count, look) },
      plain: { what: "halving a sorted array", run: (count) => repeat(count, search) },
      check() {
        for (let n = 0; n < 1000; n++) {
          next = n;
          const found = look();
          next = n;
          mustEqual(found, search(), "revision");
        }
      },
    };
  },
};

export const indexPut: MicroBenchmark = {
  name: "index-put",
  title: "put one of 100,000 keys again, with compaction every 10,000",
  async prepare() {
    const { index, keys, order } = await fill();
    const garbage = { remove: () => undefined };
    let main = keyCount + 1;
    const put = (): number => {
      const slot = index.put(keys[order[main & 0xffff] as number] as string, ++main, 0);
      if (main % 10_000 === 0) while (!index.removeGarbage(main, 1000, garbage));
      return slot;
    };
    const map = new Map(keys.map((key, n) => [key, { main: n + 2, create: n + 2, version: 1 }]));
    const putPlainly = (): number => {
      const key = keys[order[main & 0xffff] as number] as string;
      const before = map.get(key);
      const version = (before?.version ?? 0) + 1;
      map.set(key, { main: ++main, create: before?.create ?? main, version });
      return version;
    };
    return {
      unit: "put",
      fast: { run: (count) => repeat(count, put) },
      plain: {
        what: "a Map, which knows no order and no past",
        run: (count) => repeat(count, putPlainly),
      },
      check() {
        for (let n = 0; n < 1000; n++) {
          const slot = put();
          main--;
          mustEqual(index.slots.version(slot), putPlainly(), "version");
        }
      },
    };
  },
};

export const indexCount: MicroBenchmark = {
  name: "index-count",
  title: "count 50,000 of 100,000 keys",
  async prepare() {
    const { index, keys } = await fill();
    const { allSubs, KeyWalk } = await internal<Walks>("machine/dist/src/key-walk.js");
    const from = keys[keyCount / 4] as string;
    const to = keys[(3 * keyCount) / 4] as string;
    const point = { main: keyCount + 1, subEnd: allSubs };
    const count = (): number => {
      const walk = new KeyWalk(from, to, point);
      while (!walk.finished) index.count(walk, 1 << 20);
      return walk.counted;
    };
    const walkAll = (): number => {
      let found = 0;
      for (let n = lowerBound(keys, from); n < keys.length && (keys[n] as string) < to; n++)
        found++;
      return found;
    };
    return {
      unit: "count",
      fast: { run: (times) => repeat(times, count) },
      plain: { what: "walking the range", run: (times) => repeat(times, walkAll) },
      check() {
        mustEqual(count(), keyCount / 2, "keys");
        mustEqual(walkAll(), keyCount / 2, "keys walked");
      },
    };
  },
};

export const applyPut: MicroBenchmark = {
  name: "apply-put",
  title: "apply a put of 256 bytes, backend in memory",
  async prepare() {
    const { finish, MachineOpening } = await internal<Machine>("machine/dist/src/index.js");
    const { MemoryBackend } = await internal<Storage>("storage/dist/src/index.js");
    const backend = new MemoryBackend({ timers: nodeHost({ log: silentLog }).timers });
    const { machine } = finish(new MachineOpening({ backend }), 4096);
    const keys = 10_000;
    const entries = Array.from({ length: keys }, (_, n) =>
      encodeInternalRaftRequest(
        build(InternalRaftRequest, {
          header: build(RequestHeader, { id: BigInt(n + 1) }),
          put: putOf(n),
        }),
      ),
    );
    const apply = (): number => {
      const index = machine.appliedIndex + 1;
      machine.apply({ index, term: 2, data: entries[index % keys] as Uint8Array }, true);
      return index;
    };
    return {
      unit: "put",
      fast: { run: (count) => repeat(count, apply) },
      check() {
        const before = machine.appliedIndex;
        for (let n = 0; n < 3; n++) apply();
        const range = build(RangeRequest, { key: keyOf((before + 2) % keys) });
        const { count } = finish(machine.range(range), 4096).result;
        mustEqual(count, 1, "keys found");
      },
    };
  },
};

function lowerBound(keys: readonly string[], key: string): number {
  let low = 0;
  let high = keys.length;
  while (low < high) {
    const middle = (low + high) >>> 1;
    if ((keys[middle] as string) < key) low = middle + 1;
    else high = middle;
  }
  return low;
}
