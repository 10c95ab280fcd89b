// What every `Backend` must do, as a list of cases that the tests of each implementation run. Pure, like
// the package it stands in: the caller brings its test function, and checks are assertions of `base`.

import {
  assert,
  type Bytes,
  bytesToHex,
  bytesToKey,
  copyBytes,
  emptyBytes,
  equalBytes,
  type Key,
  keyToBytes,
  SeededRandom,
  utf8ToBytes,
} from "@etcd-ts/base";
import {
  type Backend,
  type BackendReader,
  type BackendView,
  type BucketName,
  bucketNames,
} from "./backend.ts";

/** One store under test. */
export interface BackendFixture {
  /** Opens the store: the first time a new one, later what the closed backend before has left. */
  open(): Promise<Backend>;
  /** Removes what is left of it, after the last backend was closed. */
  dispose(): Promise<void>;
}

/** Such as `test` of `node:test`. */
export type RunCase = (name: string, run: () => Promise<void>) => void;

/** Registers the contract's cases with `test`; `fixture` makes a new store for each. */
export function backendContract(test: RunCase, fixture: () => Promise<BackendFixture>): void {
  const check = (name: string, run: (store: Store) => Promise<void>): void => {
    test(name, async () => {
      const store = new Store(await fixture());
      try {
        await store.reopen();
        await run(store);
      } finally {
        await store.dispose();
      }
    });
  };

  check("a put is seen at once, before, during and after its commit", async (store) => {
    const { backend } = store;
    backend.put("meta", text("a"), text("1"));
    expectValue(backend, "meta", "a", "1");
    const committed = commit(backend);
    expectValue(backend, "meta", "a", "1");
    await committed;
    expectValue(backend, "meta", "a", "1");
    expectValue(backend, "meta", "b", undefined);
    expectValue(backend, "cluster", "a", undefined);
  });

  check("a delete hides what is durable, in flight and open", async (store) => {
    const { backend } = store;
    for (const key of ["a", "b", "c"]) backend.put("lease", text(key), text("1"));
    await commit(backend);
    backend.put("lease", text("d"), text("2"));
    backend.delete("lease", text("a"));
    const inFlight = commit(backend);
    backend.delete("lease", text("b"));
    backend.delete("lease", text("d"));
    backend.delete("lease", text("never"));
    expectItems(backend, "lease", "c=1");
    await inFlight;
    expectItems(backend, "lease", "c=1");
    await commit(backend);
    expectItems(backend, "lease", "c=1");
    backend.put("lease", text("a"), text("3"));
    expectItems(backend, "lease", "a=3 c=1");
  });

  check("the last write to a key in a batch wins", async (store) => {
    const { backend } = store;
    const key = revisionKey(7, 0);
    backend.put("key", key, text("1"));
    backend.put("key", copyBytes(key), text("2"));
    backend.delete("key", key);
    assert(backend.get("key", key) === undefined, "deleted after it was put");
    backend.put("key", copyBytes(key), text("3"));
    await commit(backend);
    assert(sameText(backend.get("key", key), "3"), "put after it was deleted");
  });

  check("the key of a put is the caller's again", async (store) => {
    const { backend } = store;
    const key = revisionKey(1, 0);
    const name = text("a");
    for (let i = 1; i < 90; i++) {
      key.set(revisionKey(i, 3));
      backend.put("key", key, text(String(i)));
      name[0] = 0x20 + i;
      backend.put("meta", name, text(String(i)));
      if (i % 40 === 0) backend.commit(() => {});
    }
    key.fill(0);
    name.fill(0);
    const holds = (): void => {
      for (let i = 1; i < 90; i++) {
        const there = revisionKey(i, 3);
        assert(sameText(store.backend.get("key", there), String(i)), `revision ${i} is found`);
        expectValue(store.backend, "meta", String.fromCharCode(0x20 + i), String(i));
      }
      const seen: string[] = [];
      store.backend.scan("key", revisionKey(50, 0), undefined, 3, (found) => {
        seen.push(bytesToHex(found));
      });
      expectText(seen.join(), [50, 51, 52].map((i) => bytesToHex(revisionKey(i, 3))).join());
    };
    holds();
    await commit(backend);
    holds();
    await store.reopen();
    holds();
  });

  check("buckets are separate and empty values are values", async (store) => {
    const { backend } = store;
    for (const bucket of bucketNames) backend.put(bucket, text("k"), text(bucket));
    backend.put("auth", text("empty"), emptyBytes);
    const holds = (): void => {
      for (const bucket of bucketNames) expectValue(store.backend, bucket, "k", bucket);
      expectValue(store.backend, "auth", "empty", "");
      expectItems(store.backend, "auth", "empty= k=auth");
    };
    holds();
    await commit(backend);
    holds();
    await store.reopen();
    holds();
  });

  check(
    "a scan is ordered by bytes, bounded by from, to and limit, and stops on false",
    async (store) => {
      const { backend } = store;
      const keys = [[0], [0, 0], [0, 255], [1], [127], [128], [255], [255, 255]];
      keys.forEach((key, i) => {
        backend.put("members", Uint8Array.from(key), text(String(i)));
        // Some in each of the three stages.
        if (i === 2 || i === 5) backend.commit(() => {});
      });
      const values = (
        from: number[],
        to: number[] | undefined,
        limit: number,
        stopAt = -1,
      ): string => {
        const seen: string[] = [];
        const end = to === undefined ? undefined : Uint8Array.from(to);
        backend.scan("members", Uint8Array.from(from), end, limit, (_key, value) => {
          seen.push(bytesToKey(value));
          return seen.length !== stopAt;
        });
        return seen.join("");
      };
      const cases = (): void => {
        expectText(values([], undefined, 100), "01234567");
        expectText(values([0, 0], [255], 100), "12345");
        expectText(values([0, 1], undefined, 2), "23");
        expectText(values([255, 1], undefined, 100), "7");
        expectText(values([2], [2], 100), "");
        expectText(values([], undefined, 0), "");
        expectText(values([], undefined, 100, 3), "012");
      };
      cases();
      await commit(backend);
      cases();
    },
  );

  check("revision keys and tombstones keep their order across batches", async (store) => {
    const { backend } = store;
    const expected: string[] = [];
    for (let main = 1; main <= 300; main++) {
      for (let sub = 0; sub < (main % 3) + 1; sub++) {
        const key = revisionKey(main, sub, main % 7 === 0);
        backend.put("key", key, text(`${main}`));
        expected.push(bytesToHex(key));
      }
      if (main % 50 === 0) backend.commit(() => {});
      if (main === 200) await commit(backend);
    }
    const seen: string[] = [];
    backend.scan("key", emptyBytes, undefined, 10_000, (key) => {
      seen.push(bytesToHex(key));
      return true;
    });
    expectText(seen.join(), expected.join());
    const plain = revisionKey(7, 0);
    assert(backend.get("key", plain) === undefined, "a tombstone's key is not the plain one");
    assert(backend.get("key", revisionKey(7, 0, true)) !== undefined, "a tombstone is found");
    assert(backend.get("key", revisionKey(2 ** 40, 5)) === undefined, "a missing revision");
  });

  check("old revisions can be deleted out of the middle", async (store) => {
    const { backend } = store;
    for (let main = 1; main <= 500; main++)
      backend.put("key", revisionKey(main, 0), numbered(main));
    await commit(backend);
    for (let main = 501; main <= 600; main++)
      backend.put("key", revisionKey(main, 0), numbered(main));
    for (let main = 1; main <= 550; main++) {
      if (main % 10 !== 0) backend.delete("key", revisionKey(main, 0));
    }
    const holds = (): void => {
      let previous = 0;
      let count = 0;
      store.backend.scan("key", emptyBytes, undefined, 10_000, (key, value) => {
        const main = mainOf(key);
        assert(main > previous && (main % 10 === 0 || main > 550), `revision ${main} is expected`);
        assert(equalBytes(value, numbered(main)), `value of revision ${main}`);
        previous = main;
        count++;
        return true;
      });
      assert(count === 55 + 50, `${count} revisions are left`);
      for (let main = 1; main <= 600; main++) {
        const kept = main % 10 === 0 || main > 550;
        const value = store.backend.get("key", revisionKey(main, 0));
        assert((value !== undefined) === kept, `revision ${main} by get`);
      }
    };
    holds();
    await commit(backend);
    holds();
    await store.reopen();
    holds();
  });

  check("commits call back in order, from the event loop", async (store) => {
    const { backend } = store;
    const order: number[] = [];
    const all: Promise<void>[] = [];
    for (let i = 0; i < 20; i++) {
      if (i % 4 !== 3) backend.put("meta", text("n"), text(String(i)));
      all.push(
        new Promise((resolve, reject) => {
          backend.commit((error) => {
            order.push(i);
            if (error === undefined) resolve();
            else reject(error);
          });
        }),
      );
    }
    assert(order.length === 0, "no callback inside the call");
    await Promise.all(all);
    expectText(order.join(), Array.from({ length: 20 }, (_, i) => i).join());
    expectValue(backend, "meta", "n", "18");
  });

  check("pending counts tell of the open batch", async (store) => {
    const { backend } = store;
    const expectPending = (operations: number, bytes: number): void => {
      expectText(`${backend.pendingCount} ${backend.pendingBytes}`, `${operations} ${bytes}`);
    };
    expectPending(0, 0);
    backend.put("meta", text("ab"), text("cde"));
    backend.delete("meta", text("xy"));
    expectPending(2, 7);
    backend.commit(() => {});
    expectPending(0, 0);
    await commit(backend);
  });

  check("a view does not change, and sees what was put before it", async (store) => {
    const { backend } = store;
    for (let i = 0; i < 200; i++) backend.put("key", revisionKey(i + 1, 0), numbered(i));
    await commit(backend);
    backend.put("cluster", text("a"), text("1"));
    const opening = backend.view();
    backend.put("cluster", text("a"), text("2"));
    for (let i = 0; i < 100; i++) backend.delete("key", revisionKey(i + 1, 0));
    const view = await opening;
    await commit(backend);
    backend.put("cluster", text("a"), text("3"));
    await commit(backend);
    expectValue(view, "cluster", "a", "1");
    expectItems(view, "cluster", "a=1");
    assert(count(view, "key") === 200, "the view still has all revisions");
    assert(view.get("key", revisionKey(1, 0)) !== undefined, "the view still has the first");
    expectValue(backend, "cluster", "a", "3");
    assert(count(backend, "key") === 100, "the backend has not");
    view.close();
    const later = await backend.view();
    assert(count(later, "key") === 100, "a later view has neither");
    expectValue(later, "cluster", "a", "3");
    later.close();
  });

  check("large values come back whole", async (store) => {
    const { backend } = store;
    const sizes = [0, 1, 4_000, 70_000, 1_500_000];
    const random = new SeededRandom(5);
    const values = sizes.map((size) => random.bytes(size));
    values.forEach((value, i) => {
      backend.put("key", revisionKey(i + 1, 0), value);
      backend.put("authUsers", numbered(i), value);
    });
    const holds = (): void => {
      values.forEach((value, i) => {
        const byRevision = store.backend.get("key", revisionKey(i + 1, 0));
        assert(byRevision && equalBytes(byRevision, value), `value of ${value.length} bytes`);
        const byName = store.backend.get("authUsers", numbered(i));
        assert(byName && equalBytes(byName, value), `value of ${value.length} bytes in authUsers`);
      });
      let at = 0;
      store.backend.scan("key", emptyBytes, undefined, 10, (_key, value) => {
        assert(equalBytes(value, values[at] as Bytes), `value ${at} of the scan`);
        at++;
        return true;
      });
      assert(at === values.length, "all of them in the scan");
    };
    holds();
    await commit(backend);
    holds();
    await store.reopen();
    holds();
  });

  check("long keys work, and keep their order", async (store) => {
    const { backend } = store;
    const longest = 32_768;
    const stem = new Uint8Array(longest).fill(97);
    const keys = [1, 100, 1_899, 1_900, 1_901, 1_978, 1_979, 4_000, longest].map((n) =>
      stem.subarray(0, n),
    );
    const other = copyBytes(stem.subarray(0, 3_000));
    other[2_999] = 98;
    const sorted = [...keys.slice(0, 7), ...keys.slice(7), other];
    const holds = (expected: readonly Bytes[]): void => {
      const seen: string[] = [];
      store.backend.scan("authRoles", emptyBytes, undefined, 100, (key, value) => {
        assert(equalBytes(value, numbered(key.length)), "the value of a long key");
        seen.push(`${key.length}:${key[key.length - 1]}`);
        return true;
      });
      expectText(seen.join(), expected.map((key) => `${key.length}:${key[key.length - 1]}`).join());
      for (const key of sorted) {
        const found = store.backend.get("authRoles", key) !== undefined;
        assert(found === expected.includes(key), `key of ${key.length} bytes`);
      }
    };
    for (const key of sorted) backend.put("authRoles", key, numbered(key.length));
    holds(sorted);
    await commit(backend);
    holds(sorted);
    const fewer = sorted.filter((_key, i) => i % 2 === 0);
    for (const key of sorted) if (!fewer.includes(key)) backend.delete("authRoles", key);
    holds(fewer);
    await commit(backend);
    holds(fewer);
    await store.reopen();
    holds(fewer);
    for (const key of fewer) store.backend.delete("authRoles", key);
    await commit(store.backend);
    holds([]);
  });

  check("size grows with what is durable, and defragmenting keeps everything", async (store) => {
    const { backend } = store;
    const before = backend.size();
    for (let i = 1; i <= 2_000; i++)
      backend.put("key", revisionKey(i, 0), new Uint8Array(500).fill(i));
    await commit(backend);
    const full = backend.size();
    assert(full.inUseBytes >= before.inUseBytes + 1_000_000, "a megabyte more is in use");
    assert(full.allocatedBytes >= full.inUseBytes, "what is in use is allocated");
    for (let i = 1; i <= 2_000; i++) if (i % 100 !== 0) backend.delete("key", revisionKey(i, 0));
    await commit(backend);
    await commit(backend);
    assert(backend.size().inUseBytes < full.inUseBytes / 2, "most of it is free again");
    const defragmenting = backend.defragment();
    backend.put("meta", text("during"), text("1"));
    const during = commit(backend);
    expectValue(backend, "meta", "during", "1");
    await defragmenting;
    await during;
    assert(backend.size().allocatedBytes < full.allocatedBytes / 2, "and given back");
    assert(count(backend, "key") === 20, "what was kept is there");
    expectValue(backend, "meta", "during", "1");
    backend.put("meta", text("after"), text("2"));
    await commit(backend);
    await store.reopen();
    assert(count(store.backend, "key") === 20, "also after a restart");
    expectItems(store.backend, "meta", "after=2 during=1");
  });

  check("closing commits what is open; a reopened store has it all", async (store) => {
    store.backend.put("cluster", text("clusterVersion"), text("3.7.0"));
    await store.reopen();
    expectItems(store.backend, "cluster", "clusterVersion=3.7.0");
  });

  check("replaced content is there at once, and the old is gone", async (store) => {
    const { backend } = store;
    for (const bucket of bucketNames) backend.put(bucket, text("old"), text("1"));
    backend.put("key", revisionKey(5, 0), numbered(5));
    await commit(backend);
    backend.put("meta", text("old2"), text("2"));
    await backend.replaceContent(async (sink) => {
      for (let main = 1; main <= 500; main++) {
        sink.put("key", revisionKey(main, 0), numbered(main));
        if (main % 100 === 0) await sink.flush();
      }
      // Not in order, and one of them twice.
      for (const key of ["c", "a", "b", "a"]) sink.put("cluster", text(key), text(`new ${key}`));
      sink.put("auth", text("empty"), emptyBytes);
      sink.put("authUsers", new Uint8Array(5_000).fill(97), numbered(5_000));
      sink.put("authUsers", new Uint8Array(4_000).fill(97), numbered(4_000));
      expectValue(backend, "meta", "old", "1");
    });
    const holds = (reader: BackendReader): void => {
      assert(count(reader, "key") === 500, "all new revisions are there");
      assert(sameText(reader.get("key", revisionKey(5, 0)), "value 5"), "one of them by its key");
      expectItems(reader, "cluster", "a=new a b=new b c=new c");
      expectItems(reader, "auth", "empty=");
      expectItems(reader, "meta", "");
      expectItems(reader, "lease", "");
      assert(count(reader, "authUsers") === 2, "long keys are there");
      const long = reader.get("authUsers", new Uint8Array(4_000).fill(97));
      assert(sameText(long, "value 4000"), "one of them by its key");
    };
    holds(backend);
    assert(backend.pendingCount === 0 && backend.pendingBytes === 0, "nothing is pending");
    assert(spans(backend) === 500, "all at once, too");
    const view = await backend.view();
    holds(view);
    view.close();
    await store.reopen();
    holds(store.backend);
    store.backend.put("key", revisionKey(501, 0), numbered(501));
    store.backend.delete("key", revisionKey(1, 0));
    await store.reopen();
    assert(count(store.backend, "key") === 500, "and is written to like any other");
  });

  check("a throw inside fill leaves the old content, and another try succeeds", async (store) => {
    const { backend } = store;
    backend.put("meta", text("a"), text("1"));
    await commit(backend);
    for (const size of [0, 10, 9_000_000]) {
      let message = "";
      try {
        await backend.replaceContent(async (sink) => {
          for (let bytes = 0; bytes < size; bytes += 10_000) {
            sink.put("key", revisionKey(bytes + 1, 0), new Uint8Array(10_000));
            await sink.flush();
          }
          throw new Error("fill failed");
        });
      } catch (error) {
        message = (error as Error).message;
      }
      expectText(message, "fill failed");
      expectItems(backend, "meta", "a=1");
      assert(count(backend, "key") === 0, "nothing of the new");
    }
    const failing = backend.replaceContent(() => {
      throw new Error("fill failed at once");
    });
    const refused = failing.then(
      () => "",
      (error: Error) => error.message,
    );
    backend.put("meta", text("b"), text("2"));
    await commit(backend);
    expectText(await refused, "fill failed at once");
    expectItems(backend, "meta", "a=1 b=2");
    await store.reopen();
    expectItems(store.backend, "meta", "a=1 b=2");
    await store.backend.replaceContent(async (sink) => sink.put("meta", text("c"), text("3")));
    expectItems(store.backend, "meta", "c=3");
  });

  check("what is written during a replacement goes with the old content", async (store) => {
    const { backend } = store;
    backend.put("meta", text("a"), text("1"));
    const before = commit(backend);
    backend.put("meta", text("open"), text("1"));
    let during: Promise<void> | undefined;
    await backend.replaceContent(async (sink) => {
      await sink.flush();
      await before;
      backend.put("meta", text("during"), text("2"));
      expectValue(backend, "meta", "during", "2");
      during = commit(backend);
      backend.put("meta", text("open2"), text("3"));
      sink.put("meta", text("new"), text("4"));
      await sink.flush();
      expectItems(backend, "meta", "a=1 during=2 open=1 open2=3");
    });
    await during;
    expectItems(backend, "meta", "new=4");
    assert(backend.pendingCount === 0, "nothing is pending");
    backend.put("meta", text("later"), text("5"));
    await store.reopen();
    expectItems(store.backend, "meta", "later=5 new=4");
  });

  check("views keep what they show over replacements; later ones wait", async (store) => {
    const { backend } = store;
    const views: BackendView[] = [];
    for (let round = 0; round < 4; round++) {
      for (let i = 1; i <= 300; i++) backend.put("key", revisionKey(i, round), numbered(i));
      backend.put("cluster", text("round"), text(String(round)));
      views.push(await backend.view());
      let asked: Promise<BackendView> | undefined;
      let got = false;
      await backend.replaceContent(async (sink) => {
        asked = backend.view();
        void asked.then(() => {
          got = true;
        });
        for (let i = 0; i < 10; i++) await sink.flush();
        sink.put("cluster", text("round"), text(`after ${round}`));
        for (let i = 1; i <= 100; i++) sink.put("key", revisionKey(i, 0), numbered(i));
        assert(!got, "no view is opened during a replacement");
      });
      const view = (await asked) as BackendView;
      expectItems(view, "cluster", `round=after ${round}`);
      assert(count(view, "key") === 100, "the view that waited shows the new content");
      view.close();
      views.forEach((old, i) => {
        expectItems(old, "cluster", `round=${i}`);
        assert(old.get("key", revisionKey(7, i)) !== undefined, "an old view by key");
        assert(count(old, "key") === (i === 0 ? 300 : 400), "an old view by scan");
      });
    }
    views.splice(1, 1)[0]?.close();
    for (const view of views.reverse()) view.close();
    const both = [1, 2].map((n) =>
      backend.replaceContent(async (sink) => {
        await sink.flush();
        sink.put("meta", text("n"), text(String(n)));
        await sink.flush();
      }),
    );
    const defragmented = backend.defragment();
    await Promise.all(both);
    await defragmented;
    expectItems(backend, "meta", "n=2");
    await store.reopen();
    expectItems(store.backend, "meta", "n=2");
  });

  for (const seed of [1, 2, 3]) {
    check(`random operations agree with a model (seed ${seed})`, (store) => compare(store, seed));
  }
}

class Store {
  readonly #fixture: BackendFixture;
  #backend: Backend | undefined;

  constructor(fixture: BackendFixture) {
    this.#fixture = fixture;
  }

  get backend(): Backend {
    assert(this.#backend !== undefined, "the store is open");
    return this.#backend;
  }

  async reopen(): Promise<void> {
    const old = this.#backend;
    this.#backend = undefined;
    await old?.close();
    this.#backend = await this.#fixture.open();
  }

  async dispose(): Promise<void> {
    await this.#backend?.close();
    await this.#fixture.dispose();
  }
}

/** Model: per bucket a map, sorted when it is scanned. */
type Model = Map<BucketName, Map<Key, Bytes>>;

async function compare(store: Store, seed: number): Promise<void> {
  const random = new SeededRandom(seed);
  const model: Model = new Map(bucketNames.map((name) => [name, new Map<Key, Bytes>()]));
  let revision = 1;
  const anyKey = (bucket: BucketName): Bytes => {
    if (bucket !== "key") return random.bytes(1 + random.below(3)).map((b) => b & 3);
    if (random.chance(1, 20)) return random.bytes(1 + random.below(20));
    const main = random.chance(2, 3) ? revision : 1 + random.below(revision + 2);
    return revisionKey(main, random.chance(3, 4) ? 0 : random.below(3), random.chance(1, 8));
  };
  for (let step = 0; step < 1_500; step++) {
    const bucket = random.chance(2, 3) ? "key" : random.pick(bucketNames);
    const items = model.get(bucket) as Map<Key, Bytes>;
    const choice = random.below(100);
    const key = anyKey(bucket);
    const where = `seed ${seed}, step ${step}, ${bucket} ${bytesToHex(key)}`;
    if (choice < 45) {
      const value = random.bytes(random.chance(1, 50) ? 3_000 : random.below(40));
      store.backend.put(bucket, key, value);
      items.set(bytesToKey(key), copyBytes(value));
      if (bucket === "key") revision++;
    } else if (choice < 60) {
      store.backend.delete(bucket, key);
      items.delete(bytesToKey(key));
    } else if (choice < 85) {
      const found = store.backend.get(bucket, key);
      const expected = items.get(bytesToKey(key));
      assert((found === undefined) === (expected === undefined), `get: there or not (${where})`);
      if (found && expected) assert(equalBytes(found, expected), `get: value (${where})`);
    } else if (choice < 93) {
      const to = random.chance(1, 2) ? undefined : anyKey(bucket);
      const limit = random.chance(1, 2) ? 1_000_000 : random.below(20);
      expectSame(store.backend, bucket, items, key, to, limit, where);
    } else if (choice < 97) {
      if (random.chance(1, 2)) await commit(store.backend);
      else store.backend.commit((error) => assert(error === undefined, "the commit succeeds"));
    } else if (random.chance(1, 20)) {
      for (const each of model.values()) each.clear();
      const count = random.below(200);
      await store.backend.replaceContent(async (sink) => {
        for (let i = 0; i < count; i++) {
          const name = random.chance(2, 3) ? "key" : random.pick(bucketNames);
          const newKey = anyKey(name);
          const value = random.bytes(random.below(40));
          sink.put(name, newKey, value);
          (model.get(name) as Map<Key, Bytes>).set(bytesToKey(newKey), copyBytes(value));
          if (random.chance(1, 10)) await sink.flush();
        }
      });
    } else if (choice < 99) {
      const frozen = new Map(items);
      const view = await store.backend.view();
      expectSame(view, bucket, frozen, emptyBytes, undefined, 1_000_000, `view: ${where}`);
      view.close();
    } else if (random.chance(1, 4)) {
      await store.reopen();
    }
  }
  for (const name of bucketNames) {
    const items = model.get(name) as Map<Key, Bytes>;
    expectSame(store.backend, name, items, emptyBytes, undefined, 1_000_000, `the end, ${name}`);
  }
}

function expectSame(
  reader: BackendReader,
  bucket: BucketName,
  items: ReadonlyMap<Key, Bytes>,
  from: Bytes,
  to: Bytes | undefined,
  limit: number,
  where: string,
): void {
  const low = bytesToKey(from);
  const high = to === undefined ? undefined : bytesToKey(to);
  const expected = [...items.keys()]
    .filter((key) => key >= low && (high === undefined || key < high))
    .sort((a, b) => (a < b ? -1 : 1))
    .slice(0, limit);
  let at = 0;
  reader.scan(bucket, from, to, limit, (key, value) => {
    const name = expected[at];
    assert(
      name === bytesToKey(key),
      `scan: key ${at} is ${bytesToHex(key)}, not ${bytesToHex(keyToBytes(name ?? ""))} (${where})`,
    );
    assert(equalBytes(items.get(name) as Bytes, value), `scan: value ${at} (${where})`);
    at++;
    return true;
  });
  assert(at === expected.length, `scan: ${expected.length} items, got ${at} (${where})`);
}

/** The key of a revision in bucket `key`. */
function revisionKey(main: number, sub: number, tombstone = false): Bytes {
  const key = new Uint8Array(tombstone ? 18 : 17);
  const view = new DataView(key.buffer);
  view.setBigUint64(0, BigInt(main));
  key[8] = 0x5f;
  view.setBigUint64(9, BigInt(sub));
  if (tombstone) key[17] = 0x74;
  return key;
}

function mainOf(key: Bytes): number {
  return Number(new DataView(key.buffer, key.byteOffset).getBigUint64(0));
}

function numbered(n: number): Bytes {
  return text(`value ${n}`);
}

function text(value: string): Bytes {
  return utf8ToBytes(value);
}

function sameText(value: Bytes | undefined, expected: string): boolean {
  return value !== undefined && bytesToKey(value) === expected;
}

function expectText(actual: string, expected: string): void {
  assert(actual === expected, `expected ${expected}, got ${actual}`);
}

function expectValue(
  reader: BackendReader,
  bucket: BucketName,
  key: string,
  expected: string | undefined,
): void {
  const value = reader.get(bucket, text(key));
  const actual = value === undefined ? undefined : bytesToKey(value);
  assert(actual === expected, `${bucket}/${key} is ${expected}, not ${actual}`);
}

function expectItems(reader: BackendReader, bucket: BucketName, expected: string): void {
  const seen: string[] = [];
  reader.scan(bucket, emptyBytes, undefined, 1_000_000, (key, value) => {
    seen.push(`${bytesToKey(key)}=${bytesToKey(value)}`);
    return true;
  });
  expectText(seen.join(" "), expected);
}

function count(reader: BackendReader, bucket: BucketName): number {
  let found = 0;
  reader.scan(bucket, emptyBytes, undefined, 1_000_000, () => {
    found++;
    return true;
  });
  return found;
}

/** Revisions that `scanSpans` finds, where there is one. */
function spans(backend: Backend): number {
  if (backend.scanSpans === undefined) return count(backend, "key");
  let found = 0;
  backend.scanSpans("key", emptyBytes, () => {
    found++;
    return true;
  });
  return found;
}

function commit(backend: Backend): Promise<void> {
  return new Promise((resolve, reject) => {
    backend.commit((error) => (error === undefined ? resolve() : reject(error)));
  });
}
