// The log on a disk that loses its power at every operation of a scripted run: what was acknowledged as
// durable comes back, nothing torn is accepted, and the log goes on.
//
// The oracle is the list of all records in the order in which they were appended, and what raft's log is after
// each of them. What is read back must be the state after some number of them, at least as many as were
// acknowledged. The run does what a member of a cluster does: it commits late, has its suffix overwritten by
// other leaders, makes snapshots of its own and gets some from a leader, behind its log or across it.

import assert from "node:assert/strict";
import { test } from "node:test";
import { bytesToHex, SeededRandom } from "@etcd-ts/base";
import { ConfState, type Entry, type HardState } from "@etcd-ts/raft";
import { Wal, type WalOpened } from "../src/index.ts";
import { FakeDisk } from "./fake-disk.ts";
import { entry, hostOf, metadata, state } from "./fixtures.ts";

const directory = "/data/wal";
const options = { segmentBytes: 6000, segmentsKept: 2 };

type LogRecord =
  | { readonly kind: "entry"; readonly entry: Entry }
  | { readonly kind: "state"; readonly state: HardState }
  | {
      readonly kind: "snapshot";
      readonly index: number;
      readonly term: number;
      /** From a leader: once its commit index is in the log, it is the whole log. */
      readonly received: boolean;
    };

/** What happened on one life of the log. */
class History {
  readonly records: LogRecord[] = [];
  /** This many records were acknowledged as durable. */
  durableCount = 0;
  receivedCount = 0;
}

/** Raft's own view: its log in memory, and the newest snapshot that counts. */
class Model {
  entries: Entry[] = [];
  state: HardState = state(0, 0n, 0);
  snapshot: { index: number; term: number } = { index: 0, term: 0 };
  /** Recorded, but not committed yet. */
  #arrived: { index: number; term: number } | undefined;

  take(record: LogRecord): void {
    if (record.kind === "state") {
      this.state = record.state;
      if (this.#arrived === undefined || record.state.commit < this.#arrived.index) return;
      this.snapshot = this.#arrived;
      this.#arrived = undefined;
      this.entries = [];
    } else if (record.kind === "snapshot") {
      if (record.received) this.#arrived = record;
      else this.snapshot = record;
    } else {
      const { index } = record.entry;
      if (this.#arrived !== undefined && index <= this.#arrived.index) this.#arrived = undefined;
      this.entries = this.entries.filter((each) => each.index < index);
      this.entries.push(record.entry);
    }
  }

  get lastIndex(): number {
    return this.entries.at(-1)?.index ?? this.snapshot.index;
  }

  describe(): string {
    const { index, term } = this.snapshot;
    const kept = this.entries.filter((each) => each.index > index);
    return describe(index, term, this.state, kept);
  }
}

function describe(
  index: number | undefined,
  term: number | undefined,
  hard: HardState,
  entries: readonly Entry[],
): string {
  const list = entries.map(
    (each) => `${each.index}/${each.term}/${bytesToHex(each.data).slice(0, 40)}`,
  );
  return `${index}/${term} ${hard.term}/${hard.vote}/${hard.commit} ${list.join(" ")}`;
}

function describeOpened(opened: WalOpened): string {
  const { snapshot, hardState, entries } = opened;
  return describe(snapshot.index, snapshot.term, hardState, entries);
}

/** Appends by a fixed plan; resolves at the end, or never when the disk stops. */
async function run(wal: Wal, history: History, model: Model, seed: number): Promise<void> {
  const random = new SeededRandom(seed);
  let term = model.state.term + 1;
  let last = model.lastIndex;
  let commit = model.state.commit;
  const confState = new ConfState();
  confState.voters = [1n];
  const take = (record: LogRecord): void => {
    history.records.push(record);
    model.take(record);
  };
  for (let step = 0; step < 18; step++) {
    const waiting: Promise<void>[] = [];
    for (let i = random.below(3); i >= 0; i--) {
      const added: Entry[] = [];
      if (random.chance(1, 6) && last > commit + 1) {
        last = commit + 1; // a new leader overwrites what was not committed
        term++;
      }
      for (let n = random.below(4); n > 0; n--) {
        last++;
        added.push(entry(last, term, random.bytes(1 + random.below(1400))));
      }
      const advanced = random.chance(1, 2) && last > commit;
      if (advanced) commit += 1 + random.below(last - commit);
      const hard = advanced || added.length > 0 ? state(term, 1n, commit) : undefined;
      for (const each of added) take({ kind: "entry", entry: each });
      if (hard !== undefined) take({ kind: "state", state: hard });
      const mustSync = added.length > 0;
      const reached = history.records.length;
      waiting.push(
        new Promise((resolve, reject) => {
          wal.append(hard, added, mustSync, (error) => {
            if (error) return reject(error);
            if (mustSync) history.durableCount = Math.max(history.durableCount, reached);
            resolve();
          });
        }),
      );
    }
    await Promise.all(waiting);
    if (random.chance(1, 8)) {
      // A snapshot from a leader: beyond the log, or in the middle of what was never committed.
      const index = commit + 1 + random.below(last - commit + 4);
      const former = model.entries.find((each) => each.index === index)?.term;
      const older = former !== undefined && former > 1 && random.chance(1, 2);
      const snapshotTerm = older ? former - 1 : ++term;
      term++;
      take({ kind: "snapshot", index, term: snapshotTerm, received: true });
      const recorded = wal.saveSnapshot({ index, term: snapshotTerm, confState });
      const hard = state(term, 1n, index);
      take({ kind: "state", state: hard });
      const reached = history.records.length;
      await Promise.all([recorded, appended(wal, hard)]);
      history.durableCount = reached;
      last = index;
      commit = index;
      history.receivedCount++;
      await wal.releaseTo(index);
    } else if (step % 5 === 4 && commit > model.snapshot.index) {
      const snapshotTerm = model.entries.find((each) => each.index === commit)?.term ?? term;
      take({ kind: "snapshot", index: commit, term: snapshotTerm, received: false });
      const reached = history.records.length;
      await wal.saveSnapshot({ index: commit, term: snapshotTerm, confState });
      history.durableCount = reached;
      await wal.releaseTo(commit);
    }
  }
  await wal.close();
  history.durableCount = history.records.length;
}

function appended(wal: Wal, hardState: HardState): Promise<void> {
  return new Promise((resolve, reject) => {
    wal.append(hardState, [], true, (error) => (error ? reject(error) : resolve()));
  });
}

/** The states that may be found after a crash, by number of records. */
function possible(history: History): string[] {
  const model = new Model();
  const states = [model.describe()];
  for (const record of history.records) {
    model.take(record);
    states.push(model.describe());
  }
  return states;
}

/** Resolves when the run has ended or the disk has stopped. */
async function untilStopped(disk: FakeDisk, task: Promise<void>): Promise<void> {
  let ended = false;
  const watched = task.then(() => {
    ended = true;
  });
  while (!ended && !disk.isStopped) await new Promise((resolve) => setImmediate(resolve));
  if (ended) await watched;
}

async function life(disk: FakeDisk, history: History, seed: number): Promise<void> {
  const model = new Model();
  const wal = (await Wal.exists(disk, directory))
    ? (await Wal.open(hostOf(disk), directory, options)).wal
    : await Wal.create(hostOf(disk), directory, metadata, options);
  for (const record of history.records) model.take(record);
  await run(wal, history, model, seed);
}

/** One possible world after the crash: checks what is found there, and that the log goes on. */
async function recover(
  disk: FakeDisk,
  lived: History,
  random: SeededRandom,
  seed: number,
  where: string,
): Promise<"repaired" | "shortened" | "whole"> {
  let after = disk.afterCrash(random);
  if (!(await Wal.exists(after, directory))) {
    assert.equal(lived.durableCount, 0, `${where}: an acknowledged log is gone`);
    return "shortened";
  }
  // Opening may be hit as well.
  if (random.chance(1, 3)) {
    after.stopAt = after.operationCount + 1 + random.below(20);
    const opening = Wal.open(hostOf(after), directory, options).then(() => {});
    await untilStopped(after, opening);
    after = after.afterCrash(random);
  }
  const opened = await Wal.open(hostOf(after), directory, options);
  const found = possible(lived).lastIndexOf(describeOpened(opened));
  assert.ok(found >= 0, `${where}: never was in state ${describeOpened(opened)}`);
  assert.ok(
    found >= lived.durableCount,
    `${where}: ${lived.durableCount} acknowledged, ${found} found`,
  );
  const history = new History();
  history.records.push(...lived.records.slice(0, found));
  const model = new Model();
  for (const record of history.records) model.take(record);
  await run(opened.wal, history, model, seed + 100);
  const again = await Wal.open(hostOf(after), directory, options);
  assert.equal(describeOpened(again), model.describe(), `${where}: after going on`);
  assert.equal(again.repaired, false, where);
  await again.wal.close();
  if (opened.repaired) return "repaired";
  return found < lived.records.length ? "shortened" : "whole";
}

for (const seed of [11, 13]) {
  test(`a crash at every operation loses nothing acknowledged (seed ${seed})`, async () => {
    const whole = new FakeDisk();
    await whole.makeDirectory("/data");
    const setUp = whole.operationCount;
    const planned = new History();
    await life(whole, planned, seed);
    assert.ok(planned.receivedCount > 0, "the run has a received snapshot");
    const total = whole.operationCount;
    assert.ok(total > 60, `${total} operations`);
    let repaired = 0;
    let partly = 0;
    for (let stopAt = setUp + 1; stopAt <= total; stopAt++) {
      const where = `seed ${seed}, stopped at operation ${stopAt} of ${total}`;
      const disk = new FakeDisk();
      await disk.makeDirectory("/data");
      disk.stopAt = stopAt;
      const history = new History();
      await untilStopped(disk, life(disk, history, seed));
      for (let variant = 0; variant < 3; variant++) {
        const random = new SeededRandom((seed * 1000 + stopAt) * 10 + variant);
        const outcome = await recover(disk, history, random, seed, `${where}, variant ${variant}`);
        if (outcome === "repaired") repaired++;
        if (outcome !== "whole") partly++;
      }
    }
    assert.ok(
      repaired > 3 && partly > 10,
      `${repaired} torn, ${partly} shortened: too few to tell`,
    );
  });
}
