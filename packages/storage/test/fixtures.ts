import { type Bytes, type Log, SeededRandom, type Timers } from "@etcd-ts/base";
import { Entry, HardState } from "@etcd-ts/raft";
import type { Wal, WalHost } from "../src/index.ts";
import type { FakeDisk } from "./fake-disk.ts";

export const quietLog: Log = {
  debug: () => {},
  info: () => {},
  warn: () => {},
  error: () => {},
  named: () => quietLog,
};

export const turnTimers: Timers = {
  after: (delayMs, fire) => {
    const timer = setTimeout(fire, delayMs);
    return { cancel: () => clearTimeout(timer) };
  },
  soon: (run) => void setImmediate(run),
};

export function hostOf(disk: FakeDisk): WalHost {
  return {
    disk,
    timers: turnTimers,
    clock: { monotonicMs: () => performance.now(), wallMs: () => 0 },
    log: quietLog,
  };
}

export function entry(index: number, term: number, data: Bytes = new Uint8Array(0)): Entry {
  const made = new Entry();
  made.index = index;
  made.term = term;
  made.data = data;
  return made;
}

export function entries(from: number, to: number, term: number, seed = 1): Entry[] {
  const random = new SeededRandom(seed);
  const made: Entry[] = [];
  for (let index = from; index <= to; index++) {
    made.push(entry(index, term, random.bytes(random.below(400))));
  }
  return made;
}

export function state(term: number, vote: bigint, commit: number): HardState {
  const made = new HardState();
  made.term = term;
  made.vote = vote;
  made.commit = commit;
  return made;
}

export function append(
  wal: Wal,
  hardState: HardState | undefined,
  added: readonly Entry[],
  mustSync = true,
): Promise<void> {
  return new Promise((resolve, reject) => {
    wal.append(hardState, added, mustSync, (error) => (error ? reject(error) : resolve()));
  });
}

export const metadata: { nodeId: bigint; clusterId: bigint } = {
  nodeId: 0x8e9e05c52164694dn,
  clusterId: 0xcdf818194e3a8c32n,
};
