// What the machine itself costs, on the small backend of its tests or on one that forgets. CPU time, so that
// other processes count less:
//
//     node --expose-gc packages/machine/dist/bench/machine.bench.js [keys]

import { fileURLToPath } from "node:url";
import {
  encodeInternalRaftRequest,
  InternalRaftRequest,
  PutRequest,
  RangeRequest,
  RequestHeader,
} from "@etcd-ts/api";
import { type Bytes, build, keyToBytes, SeededRandom } from "@etcd-ts/base";
import {
  type BucketName,
  encodeRangeResponse,
  finish,
  HeaderEncoder,
  type Machine,
  MachineOpening,
} from "@etcd-ts/machine";
import { TinyBackend } from "../test/support/tiny-backend.ts";

/** Takes writes and forgets them: what is left is the machine. */
class ForgetfulBackend extends TinyBackend {
  override put(_bucket: BucketName, _key: Bytes, _value: Bytes): void {}
  override delete(_bucket: BucketName, _key: Bytes): void {}
}

type Say = (what: string, figure: string) => void;

/** Entries are made outside the measured time, this many at once. */
const batch = 20_000;

function cpuMicros(start: NodeJS.CpuUsage): number {
  const { user, system } = process.cpuUsage(start);
  return user + system;
}

function measured(count: number, run: () => void): string {
  const start = process.cpuUsage();
  run();
  return `${(cpuMicros(start) / count).toFixed(2)} µs`;
}

function heapBytes(): number {
  globalThis.gc?.();
  const { heapUsed, external } = process.memoryUsage();
  return heapUsed + external;
}

/** 32 bytes. */
function keyName(i: number): string {
  return `/registry/pods/defaults/${String(i).padStart(8, "0")}`;
}

class Bench {
  readonly #count: number;
  readonly #say: Say;
  readonly #random: SeededRandom = new SeededRandom(1);
  readonly #value: Bytes = this.#random.bytes(256);
  readonly #header: HeaderEncoder = new HeaderEncoder(0xcdf818194e3a8c32n, 0x8e9e05c52164694dn);

  constructor(count: number, say: Say) {
    this.#count = count;
    this.#say = say;
  }

  run(): void {
    const count = this.#count;
    const shuffled = this.#shuffled();
    this.#memory("warm-up", keyName);
    this.#memory("apply put, new keys in order", keyName);
    this.#memory("apply put, new keys at random", (i) => keyName(shuffled[i]!));
    this.#memory("apply put, 1,000 keys over and over", (i) => keyName(i % 1000));
    const tenth = Math.ceil(count / 10);
    this.#memory("apply put, a tenth as many keys", () => keyName(this.#random.below(tenth)));
    const backend = new TinyBackend(false);
    const machine = this.#apply("apply put, small backend", backend, (i) => keyName(shuffled[i]!));
    this.#reads(machine);
    let again: MachineOpening | undefined;
    this.#say(
      "open, per key",
      measured(count, () => {
        again = finish(new MachineOpening({ backend }), 4096);
      }),
    );
    if (again?.machine.keyCount !== machine.keyCount) throw new Error("keys got lost");
  }

  #shuffled(): Uint32Array {
    const order = Uint32Array.from({ length: this.#count }, (_, i) => i);
    for (let i = order.length - 1; i > 0; i--) {
      const j = this.#random.below(i + 1);
      const moved = order[i]!;
      order[i] = order[j]!;
      order[j] = moved;
    }
    return order;
  }

  #memory(name: string, keyOf: (i: number) => string): void {
    const before = heapBytes();
    const machine = this.#apply(`${name}, backend forgets`, new ForgetfulBackend(false), keyOf);
    const bytes = ((heapBytes() - before) / this.#count).toFixed(0);
    this.#say(`  heap of its ${machine.keyCount} keys`, `${bytes} bytes a put`);
  }

  #apply(name: string, backend: TinyBackend, keyOf: (i: number) => string): Machine {
    const { machine } = finish(new MachineOpening({ backend }));
    let spent = 0;
    for (let done = 0; done < this.#count; ) {
      const size = Math.min(batch, this.#count - done);
      const entries = Array.from({ length: size }, (_, i) => this.#entry(keyOf(done + i)));
      const start = process.cpuUsage();
      for (const data of entries) {
        machine.apply({ index: machine.appliedIndex + 1, term: 2, data }, true);
      }
      spent += cpuMicros(start);
      done += size;
    }
    this.#say(name, `${(spent / this.#count).toFixed(2)} µs`);
    return machine;
  }

  #entry(key: string): Bytes {
    const request = build(InternalRaftRequest, {
      header: build(RequestHeader, { id: 0x1234_5678_9abc_def0n }),
      put: build(PutRequest, { key: keyToBytes(key), value: this.#value }),
    });
    return encodeInternalRaftRequest(request);
  }

  #reads(machine: Machine): void {
    const times = Math.min(200_000, this.#count);
    const keys = Array.from({ length: times }, () => {
      return build(RangeRequest, { key: keyToBytes(keyName(this.#random.below(this.#count))) });
    });
    const read = (request: RangeRequest): number =>
      encodeRangeResponse(this.#header, 2, finish(machine.range(request, 4096)).result).length;
    this.#say(
      "range of one key, encoded",
      measured(times, () => {
        for (const request of keys) read(request);
      }),
    );
    const rangeEnd = keyToBytes("\0");
    const pages = Math.ceil(times / 1000);
    this.#say(
      "range of 1,000 keys, encoded",
      measured(pages, () => {
        for (let i = 0; i < pages; i++) {
          read(build(RangeRequest, { key: keys[i]!.key, rangeEnd, limit: 1000n }));
        }
      }),
    );
    const everything = { key: rangeEnd, rangeEnd };
    this.#say(
      "everything with limit 1",
      measured(pages, () => {
        for (let i = 0; i < pages; i++) read(build(RangeRequest, { ...everything, limit: 1n }));
      }),
    );
    const revision = BigInt(Math.ceil(this.#count / 2));
    this.#say(
      "count of everything at a revision half-way back",
      measured(1, () => {
        read(build(RangeRequest, { ...everything, countOnly: true, revision }));
      }),
    );
    this.#say(
      "hashKv, per key",
      measured(this.#count, () => {
        finish(machine.hashKv(0n));
      }),
    );
  }
}

export function runBench(count: number, say: Say): void {
  new Bench(count, say).run();
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  runBench(Number(process.argv[2] ?? 1_000_000), (what, figure) => {
    process.stdout.write(`${what.padEnd(60)} ${figure}\n`);
  });
}
