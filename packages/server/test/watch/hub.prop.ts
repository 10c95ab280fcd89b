// The hub against a list: random changes, watchers, full streams and compactions; every watcher must have
// received exactly the events of its range from its start on, in order, each revision whole, unless it was
// told that compaction took some away.

import assert from "node:assert/strict";
import { test } from "node:test";
import { decodeWatchResponse, encodeKeyValue, KeyValue } from "@etcd-ts/api";
import { type Bytes, bytesToKey, emptyBytes, keyToBytes, SeededRandom } from "@etcd-ts/base";
import { EventType, KvEvent } from "@etcd-ts/machine";
import {
  type Watcher,
  type WatchHistory,
  WatchHub,
  type WatchSink,
  type WatchSource,
} from "../../src/watch/hub.ts";
import { endOfKeys } from "../../src/watch/interests.ts";

class FakeStore implements WatchSource {
  revision = 1;
  compactRevision = -1;
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
    let next = Math.max(from, 2);
    let ready: KvEvent[] = [];
    return {
      step: (itemCount) => {
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
  readonly received: { revision: number; key: string }[] = [];
  compactedAt = -1;
  fragmentOpen = false;

  send(response: Bytes): void {
    const { events } = decodeWatchResponse(response);
    for (const { kv } of events) {
      assert.ok(kv !== undefined);
      this.received.push({ revision: kv.modRevision, key: bytesToKey(kv.key) });
    }
  }

  compacted(_watcher: Watcher, compactRevision: number): void {
    this.compactedAt = compactRevision;
  }
}

test("every watcher gets every change of its range once and in order, or is told of a gap", () => {
  let delivered = 0;
  let compacted = 0;
  for (let seed = 1; seed <= 150; seed++) {
    const random = new SeededRandom(seed);
    const store = new FakeStore();
    const jobs: { step(itemCount: number): boolean }[] = [];
    const hub = new WatchHub(store, { start: (job) => jobs.push(job) }, { fragmentBytes: 200 });
    const words = ["a", "b", "ba", "c", "d"];
    const watches: { watcher: Watcher; sink: FakeSink; start: number; removedAt: number }[] = [];
    for (let step = 0; step < 300; step++) {
      const dice = random.below(100);
      if (dice < 45) {
        const keys = words.filter(() => random.chance(1, 3));
        if (keys.length > 0) hub.changed(store.revision + 1, store.change(keys, random));
      } else if (dice < 55) {
        const sink = new FakeSink();
        const startRevision = random.chance(1, 2) ? 0 : 1 + random.below(store.revision + 3);
        const watcher = hub.add(sink, {
          id: BigInt(step),
          key: random.pick(words),
          end: random.pick([undefined, "c", endOfKeys]),
          startRevision,
          withPut: random.chance(4, 5),
          withDelete: random.chance(4, 5),
          prevKv: false,
          fragment: random.chance(1, 2),
        });
        const start = startRevision === 0 ? store.revision + 1 : startRevision;
        watches.push({ watcher, sink, start, removedAt: 0 });
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
      } else if (jobs[0]?.step(1 + random.below(6)) === true) {
        jobs.shift();
      }
    }
    for (const { sink } of watches) sink.isWritable = true;
    hub.drained();
    for (let job = jobs.shift(); job !== undefined; job = jobs.shift()) {
      for (let steps = 0; !job.step(5); steps++) assert.ok(steps < 10_000, "the catch-up ends");
    }
    for (const { watcher, sink, start, removedAt } of watches) {
      const expected = store.changes
        .flat()
        .filter((it) => it.modRevision >= start)
        .filter((it) => (it.type === EventType.delete ? watcher.withDelete : watcher.withPut))
        .filter((it) => {
          if (watcher.end === undefined) return it.key === watcher.key;
          return watcher.key <= it.key && it.key < watcher.end;
        })
        .map((it) => ({ revision: it.modRevision, key: it.key }));
      delivered += sink.received.length;
      const whole = sink.compactedAt < 0 && removedAt === 0;
      const count = whole ? expected.length : sink.received.length;
      assert.deepEqual(sink.received, expected.slice(0, count), `seed ${seed}`);
      if (sink.compactedAt >= 0) {
        compacted += 1;
      }
      if (whole) assert.equal(watcher.state, "synced", `seed ${seed}`);
      const last = sink.received.at(-1)?.revision;
      // A revision is whole: nothing of the last one is missing, unless the watcher was removed.
      if (removedAt === 0 && last !== undefined) {
        assert.ok(expected[count]?.revision !== last, `seed ${seed}: revision ${last} was cut`);
      }
    }
  }
  assert.ok(delivered > 10_000 && compacted > 10);
});
