// The hub against a list: random changes, watchers, full streams and compactions; every watcher must have
// received exactly the events of its range from its start on, in order, each revision whole, unless it was
// told that compaction took some away.

import assert from "node:assert/strict";
import { test } from "node:test";
import { decodeWatchResponse, encodeKeyValue, KeyValue } from "@etcd-ts/api";
import { type Bytes, bytesToKey, emptyBytes, keyToBytes, SeededRandom } from "@etcd-ts/base";
import { EventType, KvEvent } from "@etcd-ts/machine";
import { WatchHub } from "../../src/watch/hub.ts";
import { endOfKeys } from "../../src/watch/interests.ts";
import type { WatchHistory, WatchSource } from "../../src/watch/source.ts";
import type { Watcher, WatcherOptions, WatchSink } from "../../src/watch/watcher.ts";

class FakeStore implements WatchSource {
  revision = 1;
  compactRevision = -1;
  /** Counts up when a snapshot replaces the store. */
  epoch = 0;
  /** Meanwhile nothing can be read. */
  isReplacing = false;
  readonly changes: KvEvent[][] = [];

  change(keys: readonly string[], random: SeededRandom): KvEvent[] {
    this.revision += 1;
    const events = keys.map((key, sub) => {
      const isDelete = random.chance(1, 4);
      const kv = new KeyValue();
      kv.key = keyToBytes(key);
      kv.modRevision = this.revision;
      if (!isDelete) kv.createRevision = 1;
      const type = isDelete ? EventType.delete : EventType.put;
      return new KvEvent(type, key, encodeKeyValue(kv), this.revision, sub, isDelete ? 0 : 1);
    });
    this.changes.push(events);
    return events;
  }

  previousKv(): Bytes | undefined {
    return undefined;
  }

  history(from: number, wants: (key: string) => boolean): WatchHistory {
    assert.ok(from >= this.compactRevision, "nobody asks for what is compacted");
    const end = this.revision;
    const epoch = this.epoch;
    let next = Math.max(from, 2);
    if (this.isReplacing) next = from - 1;
    let ready: KvEvent[] = [];
    return {
      step: (itemCount) => {
        // A replaced store is not read any more.
        if (epoch !== this.epoch || next < from) return true;
        for (let items = 0; items < itemCount && next <= end; next++) {
          const events = this.changes[next - 2] as KvEvent[];
          items += events.length;
          ready.push(...events.filter((it) => wants(it.key)));
        }
        return next > end;
      },
      takeEvents: () => {
        const events = ready;
        ready = [];
        return events;
      },
      get nextRevision() {
        return next;
      },
      cancel: () => undefined,
    };
  }

  header(): Bytes {
    return emptyBytes;
  }
}

class FakeSink implements WatchSink {
  isWritable = true;
  readonly byWatcher = new Map<bigint, { revision: number; key: string }[]>();
  readonly compactedIds = new Set<bigint>();
  compactedAt = -1;

  send(response: Bytes): void {
    const { events, watchId } = decodeWatchResponse(response);
    const received = this.receivedBy(watchId);
    for (const { kv } of events) {
      assert.ok(kv !== undefined);
      received.push({ revision: kv.modRevision, key: bytesToKey(kv.key) });
    }
  }

  sendPrefixed(responses: Bytes, count: number): void {
    let seen = 0;
    for (let at = 0; at < responses.length; seen++) {
      const view = new DataView(responses.buffer, responses.byteOffset + at);
      assert.equal(view.getUint8(0), 0);
      const end = at + 5 + view.getUint32(1);
      assert.ok(end <= responses.length);
      this.send(responses.subarray(at + 5, end));
      at = end;
    }
    assert.equal(seen, count);
  }

  receivedBy(id: bigint): { revision: number; key: string }[] {
    let received = this.byWatcher.get(id);
    if (received === undefined) {
      received = [];
      this.byWatcher.set(id, received);
    }
    return received;
  }

  /** Of all its watchers. */
  get received(): { revision: number; key: string }[] {
    return [...this.byWatcher.values()].flat();
  }

  compacted(watcher: Watcher, compactRevision: number): void {
    this.compactedIds.add(watcher.id);
    this.compactedAt = compactRevision;
  }
}

interface Watch {
  readonly watcher: Watcher;
  readonly options: WatcherOptions;
  readonly sink: FakeSink;
  readonly start: number;
  removedAt: number;
}

test("every watcher gets every change of its range once and in order, or is told of a gap", () => {
  let delivered = 0;
  let compacted = 0;
  let replaced = 0;
  for (let seed = 1; seed <= 150; seed++) {
    const random = new SeededRandom(seed);
    const store = new FakeStore();
    const jobs: { step(itemCount: number): boolean }[] = [];
    const limits = { fragmentBytes: 200, roundGroupsMax: 3, roundItemsMax: 20 };
    const hub = new WatchHub(store, { start: (job) => jobs.push(job) }, limits);
    const words = ["a", "b", "ba", "c", "d"];
    const watches: Watch[] = [];
    for (let step = 0; step < 300; step++) {
      const dice = random.below(100);
      if (store.isReplacing && (dice < 45 || (dice >= 68 && dice < 70))) continue;
      if (dice < 45) {
        const keys = words.filter(() => random.chance(1, 3));
        if (keys.length > 0) hub.changed(store.revision + 1, store.change(keys, random));
        if (random.chance(1, 2)) hub.flush();
      } else if (dice < 55) {
        // Now and then as another one on the same stream, which makes groups.
        const like = watches.length > 0 && random.chance(2, 3) ? random.pick(watches) : undefined;
        const sink = like?.sink ?? new FakeSink();
        const startRevision = random.chance(1, 2) ? 0 : 1 + random.below(store.revision + 3);
        const options: WatcherOptions = {
          key: random.pick(words),
          end: random.pick([undefined, "c", endOfKeys]),
          withPut: random.chance(4, 5),
          withDelete: random.chance(4, 5),
          prevKv: false,
          fragment: random.chance(1, 2),
          ...like?.options,
          id: random.chance(1, 10) ? -1n - BigInt(step) : BigInt(step),
          startRevision,
        };
        const watcher = hub.add(sink, options);
        const start = startRevision === 0 ? store.revision + 1 : startRevision;
        watches.push({ watcher, options, sink, start, removedAt: 0 });
      } else if (dice < 65 && watches.length > 0) {
        const { sink } = random.pick(watches);
        sink.isWritable = !sink.isWritable;
        if (sink.isWritable) hub.drained();
      } else if (dice < 68 && watches.length > 0) {
        const watch = random.pick(watches);
        if (watch.removedAt === 0) watch.removedAt = store.revision;
        hub.remove(watch.watcher);
      } else if (dice < 70) {
        store.compactRevision = Math.max(store.compactRevision, random.below(store.revision + 1));
      } else if (dice < 72 && !store.isReplacing) {
        store.isReplacing = true;
        store.epoch += 1;
      } else if (dice < 75 && store.isReplacing) {
        // A snapshot: changes that were not told, and perhaps a compaction.
        for (let i = random.below(10); i >= 0; i--) {
          store.change([random.pick(words)], random);
        }
        if (random.chance(1, 4)) {
          store.compactRevision = Math.max(store.compactRevision, random.below(store.revision + 1));
        }
        store.isReplacing = false;
        replaced += 1;
        hub.stateReplaced();
      } else if (jobs[0]?.step(1 + random.below(6)) === true) {
        jobs.shift();
      }
    }
    for (const { sink } of watches) sink.isWritable = true;
    store.isReplacing = false;
    hub.stateReplaced();
    hub.drained();
    for (let job = jobs.shift(); job !== undefined; job = jobs.shift()) {
      for (let steps = 0; !job.step(5); steps++) assert.ok(steps < 10_000, "the catch-up ends");
    }
    for (const { watcher, options, sink, start, removedAt } of watches) {
      const received = sink.receivedBy(watcher.id);
      const isCompacted = sink.compactedIds.has(watcher.id);
      const expected = store.changes
        .flat()
        .filter((it) => it.modRevision >= start)
        .filter((it) => (it.type === EventType.delete ? options.withDelete : options.withPut))
        .filter((it) => {
          if (options.end === undefined) return it.key === options.key;
          return options.key <= it.key && it.key < options.end;
        })
        .map((it) => ({ revision: it.modRevision, key: it.key }));
      delivered += received.length;
      const whole = !isCompacted && removedAt === 0;
      const count = whole ? expected.length : received.length;
      assert.deepEqual(received, expected.slice(0, count), `seed ${seed}`);
      if (isCompacted) compacted += 1;
      if (whole) assert.equal(watcher.state, "synced", `seed ${seed}`);
      const last = received.at(-1)?.revision;
      // A revision is whole: nothing of the last one is missing, unless the watcher was removed.
      if (removedAt === 0 && last !== undefined) {
        assert.ok(expected[count]?.revision !== last, `seed ${seed}: revision ${last} was cut`);
      }
    }
  }
  assert.ok(delivered > 10_000 && compacted > 10 && replaced > 100);
});

test("slow streams at the head of the queue starve nobody, and a long history holds up no short one", () => {
  const random = new SeededRandom(1);
  const store = new FakeStore();
  for (let i = 0; i < 2_000; i++) store.change(["a"], random);
  const jobs: { step(itemCount: number): boolean }[] = [];
  const limits = { fragmentBytes: 200, roundGroupsMax: 2, roundItemsMax: 100 };
  const hub = new WatchHub(store, { start: (job) => jobs.push(job) }, limits);
  const options = { key: "a", end: undefined, withPut: true, withDelete: true, prevKv: false };
  // Two that take one response and are full again; their clients read it at once.
  const slow = [0, 1].map((id) => {
    const sink = new FakeSink();
    const send = sink.send.bind(sink);
    sink.send = (response) => {
      send(response);
      sink.isWritable = false;
    };
    hub.add(sink, { id: BigInt(id), startRevision: 1, fragment: false, ...options });
    return sink;
  });
  const far = new FakeSink();
  hub.add(far, { id: 5n, startRevision: 1, fragment: false, ...options });
  const near = new FakeSink();
  const nearWatcher = hub.add(near, { id: 6n, startRevision: 1_990, fragment: false, ...options });
  let items = 0;
  while (nearWatcher.state !== "synced") {
    for (const sink of slow) sink.isWritable = true;
    hub.drained();
    assert.ok(items < 1_000, "the near one had to wait for those that are far behind");
    items += 10;
    if (jobs[0]?.step(10) === true) jobs.shift();
  }
  assert.equal(near.received[0]?.revision, 1_990);
  for (let steps = 0; far.received.length < 2_000; steps++) {
    for (const sink of slow) sink.isWritable = true;
    hub.drained();
    assert.ok(steps < 4_000, `${far.received.length} received: starved`);
    if (jobs[0]?.step(10) === true) jobs.shift();
  }
  assert.ok(slow.every((sink) => sink.received.length > 100));
});

test("who was synced when the store was replaced gets what was not told, and no more", () => {
  const random = new SeededRandom(1);
  const store = new FakeStore();
  for (let i = 0; i < 50; i++) store.change(["z"], random);
  const jobs: { step(itemCount: number): boolean }[] = [];
  const hub = new WatchHub(store, { start: (job) => jobs.push(job) }, { fragmentBytes: 200 });
  const options = {
    end: undefined,
    withPut: true,
    withDelete: true,
    prevKv: false,
    fragment: false,
  };
  const sink = new FakeSink();
  const quiet = hub.add(sink, { id: 1n, key: "a", startRevision: 0, ...options });
  const future = new FakeSink();
  hub.add(future, { id: 2n, key: "a", startRevision: 200, ...options });
  // Its start lies far back by now, without an event that it wanted.
  for (let i = 0; i < 50; i++) hub.changed(store.revision + 1, store.change(["z"], random));
  assert.equal(quiet.nextRevision, 52);
  for (let i = 0; i < 20; i++) store.change([i % 2 === 0 ? "a" : "z"], random);
  // What lies before the first revision that was not told does not matter to it.
  store.compactRevision = 102;
  store.epoch += 1;
  hub.stateReplaced();
  while (jobs.length > 0) if (jobs[0]?.step(5) === true) jobs.shift();
  assert.equal(sink.compactedAt, -1);
  assert.equal(sink.received.length, 10);
  assert.equal(quiet.state, "synced");
  assert.equal(future.received.length, 0);
  // Too far back after the next one.
  for (let i = 0; i < 20; i++) store.change(["a"], random);
  store.compactRevision = store.revision;
  store.epoch += 1;
  hub.stateReplaced();
  assert.equal(sink.compactedAt, store.revision);
  assert.equal(sink.received.length, 10);
});

test("what many watchers of a full stream share is kept once, and up to a bound", () => {
  const random = new SeededRandom(1);
  const store = new FakeStore();
  const jobs: { step(itemCount: number): boolean }[] = [];
  const limits = { fragmentBytes: 1 << 20, heldGroupBytesMax: 64 << 10 };
  const hub = new WatchHub(store, { start: (job) => jobs.push(job) }, limits);
  const options = { end: undefined, withPut: true, withDelete: true, prevKv: false };
  const sink = new FakeSink();
  const count = 100;
  for (let id = 0; id < count; id++) {
    hub.add(sink, { id: BigInt(id), key: "a", startRevision: 0, fragment: false, ...options });
  }
  const change = (): void => {
    hub.changed(store.revision + 1, store.change(["a"], random));
    hub.flush();
  };
  sink.isWritable = false;
  for (let i = 0; i < 1000; i++) change();
  assert.equal(hub.behindCount, 0, "ten kilobytes for all of them together");
  sink.isWritable = true;
  hub.drained();
  assert.equal(sink.received.length, 1000 * count);
  sink.isWritable = false;
  while (hub.behindCount === 0) {
    change();
    assert.ok(store.revision < 20_000, "there is a bound");
  }
  assert.equal(hub.behindCount, count);
  sink.isWritable = true;
  hub.drained();
  while (jobs.length > 0) if (jobs[0]?.step(1000) === true) jobs.shift();
  const all = store.changes.length;
  for (let id = 0; id < count; id++) {
    const received = sink.receivedBy(BigInt(id));
    assert.equal(received.length, all);
    assert.ok(received.every(({ revision }, i) => revision === i + 2));
  }
});
