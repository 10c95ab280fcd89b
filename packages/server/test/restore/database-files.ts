// Databases and disks for the tests of restoring.

import {
  AlarmAction,
  AlarmRequest,
  AlarmType,
  CompactionRequest,
  encodeInternalRaftRequest,
  InternalRaftRequest,
  LeaseGrantRequest,
  PutRequest,
  RequestHeader,
} from "@etcd-ts/api";
import {
  type Bytes,
  build,
  concatBytes,
  type Disk,
  DiskError,
  type DiskFile,
  emptyBytes,
  keyToBytes,
  SeededRandom,
  type Timers,
} from "@etcd-ts/base";
import {
  type Backend,
  type BackendReader,
  bucketNames,
  finish,
  type Machine,
  MachineOpening,
  MemberChangeType,
} from "@etcd-ts/machine";
import { MemoryBackend, writeBoltFile } from "@etcd-ts/storage";

export const turnTimers: Timers = {
  after: (delayMs, fire) => {
    const timer = setTimeout(fire, delayMs);
    return { cancel: () => clearTimeout(timer) };
  },
  soon: (run) => void setImmediate(run),
};

export const pause = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));

/** A machine in memory with some of everything in it. */
export function filledMachine(
  seed: number,
  puts: number,
): { machine: Machine; backend: MemoryBackend } {
  const backend = new MemoryBackend({ timers: turnTimers });
  const machine = finish(new MachineOpening({ backend })).machine;
  const random = new SeededRandom(seed);
  const apply = (fields: Partial<InternalRaftRequest>): void => {
    const request = build(InternalRaftRequest, fields);
    request.header = build(RequestHeader, { id: 1n });
    const entry = {
      index: machine.appliedIndex + 1,
      term: 4,
      data: encodeInternalRaftRequest(request),
    };
    machine.apply(entry, false);
  };
  for (let id = 1; id <= 3; id++) {
    const context = keyToBytes(
      `{"id":${id},"peerURLs":["http://127.0.0.1:${id}"],"name":"m${id}"}`,
    );
    machine.applyConfChange(
      { index: machine.appliedIndex + 1, term: 4 },
      { type: MemberChangeType.addNode, nodeId: BigInt(id), context },
    );
  }
  apply({ clusterVersionSet: { ver: "3.7.0" } as never });
  for (let id = 1; id <= 5; id++) {
    apply({ leaseGrant: build(LeaseGrantRequest, { id: BigInt(id * 1000), ttl: 600n }) });
  }
  for (let i = 0; i < puts; i++) {
    const put = build(PutRequest, {
      key: keyToBytes(`key/${random.below(Math.max(3, puts / 2))}`),
      value: random.bytes(random.chance(1, 50) ? 9_000 : random.below(200)),
      lease: random.chance(1, 10) ? BigInt(1000 * (1 + random.below(5))) : 0n,
    });
    apply({ put });
  }
  if (puts > 20) {
    const revision = BigInt(machine.revision - puts / 2);
    apply({ compaction: build(CompactionRequest, { revision }) });
    finish(machine.compaction);
  }
  const alarm = { action: AlarmAction.ACTIVATE, memberId: 2n, alarm: AlarmType.NOSPACE };
  apply({ alarm: build(AlarmRequest, alarm) });
  machine.setConfState({
    voters: [1n, 2n, 3n],
    learners: [],
    votersOutgoing: [],
    learnersNext: [],
    autoLeave: false,
  });
  machine.setStorageVersion("3.7.0");
  machine.sealBatch();
  return { machine, backend };
}

export async function databaseBytes(view: BackendReader): Promise<Bytes> {
  const chunks: Bytes[] = [];
  await writeBoltFile(view, {
    begin: () => undefined,
    write: async (chunk) => void chunks.push(chunk),
    pause: () => Promise.resolve(),
  });
  return concatBytes(chunks);
}

/** Every pair of every bucket as text. */
export function dump(reader: BackendReader): string[] {
  const lines: string[] = [];
  for (const bucket of bucketNames) {
    reader.scan(bucket, emptyBytes, undefined, Number.MAX_SAFE_INTEGER, (key, value) => {
      lines.push(
        `${bucket} ${Buffer.from(key).toString("hex")} ${Buffer.from(value).toString("hex")}`,
      );
      return true;
    });
  }
  return lines;
}

/** The hash by which members compare their key spaces. */
export function hashOf(backend: Backend, revision = 0n): number {
  const { machine } = finish(new MachineOpening({ backend }));
  return finish(machine.hashKv(revision)).hash;
}

/** One file that can only be read. */
export function diskOf(path: string, bytes: Bytes): Disk {
  const file: DiskFile = {
    path,
    size: async () => bytes.length,
    read: async (position, length) => bytes.subarray(position, position + length),
    close: async () => undefined,
  } as DiskFile;
  return {
    open: async (name: string) => {
      if (name !== path) throw new DiskError("not-found", name, `${name}: no such file`);
      return file;
    },
  } as unknown as Disk;
}
