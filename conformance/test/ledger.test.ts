// The checker must find what it is there for: each test tells the ledger a history with one thing wrong.

import assert from "node:assert/strict";
import { test } from "node:test";
import { utf8ToBytes } from "@etcd-ts/base";
import type { Client } from "@etcd-ts/client";
import { keysOf, Ledger, valueText, type Write } from "../src/cluster/ledger.ts";

interface Change {
  readonly slot: number;
  readonly number: number;
  readonly revision: number;
  readonly keys?: readonly string[];
}

/** A client whose watch tells these changes. */
function telling(...changes: readonly Change[]): Client {
  const events = changes.flatMap(({ slot, number, revision, keys }) =>
    (keys ?? keysOf(slot)).map((key) => ({
      kv: {
        key: utf8ToBytes(key),
        value: utf8ToBytes(valueText(number, 32)),
        modRevision: revision,
      },
    })),
  );
  const watch = {
    async *[Symbol.asyncIterator]() {
      yield* events;
    },
    close(): void {},
  };
  return { watch: () => watch } as unknown as Client;
}

function writeOf(ledger: Ledger, slot: number, number: number): Write {
  return { slot, number, keys: keysOf(slot), startMs: 0, floor: ledger.floor };
}

const first = { slot: 1, number: 1, revision: 2 };

test("a true history passes, with a write of unknown outcome and a transaction in it", async () => {
  const ledger = new Ledger(1);
  ledger.wrote(writeOf(ledger, 1, 1), 2);
  ledger.lostSightOf(writeOf(ledger, 2, 1));
  ledger.wrote(writeOf(ledger, 8, 1), 4);
  ledger.read(keysOf(1)[0] as string, 2, 3, 2, valueText(1, 32));
  const history = telling(
    first,
    { slot: 2, number: 1, revision: 3 },
    { slot: 8, number: 1, revision: 4 },
  );
  await ledger.verify(history, 4);
  assert.equal(ledger.acknowledgedCount, 2);
});

test("an acknowledged write that is not in the history is found", async () => {
  const ledger = new Ledger(1);
  ledger.wrote(writeOf(ledger, 1, 1), 2);
  ledger.wrote(writeOf(ledger, 2, 1), 3);
  await assert.rejects(ledger.verify(telling(first), 2), /the store is at revision 2, but 3/);
  const other = new Ledger(1);
  other.wrote(writeOf(other, 1, 1), 2);
  other.lostSightOf(writeOf(other, 3, 1));
  const wrong = telling({ slot: 3, number: 1, revision: 2 });
  await assert.rejects(other.verify(wrong, 2), /revision 2 was acknowledged for load\/0*1 = 1/);
});

test("a write that nobody sent, or that was refused, is found", async () => {
  const ledger = new Ledger(1);
  await assert.rejects(ledger.verify(telling(first), 2), /nobody wrote/);
  const refused = new Ledger(1);
  refused.wasRefused(writeOf(refused, 1, 1));
  await assert.rejects(refused.verify(telling(first), 2), /was refused and is there/);
});

test("a write that was done twice is found", async () => {
  const ledger = new Ledger(1);
  ledger.wrote(writeOf(ledger, 1, 1), 2);
  const twice = telling(first, { ...first, revision: 3 });
  await assert.rejects(ledger.verify(twice, 3), /written twice/);
});

test("a gap in the revisions is found", async () => {
  const ledger = new Ledger(1);
  ledger.wrote(writeOf(ledger, 1, 1), 2);
  ledger.wrote(writeOf(ledger, 2, 1), 4);
  const gap = telling(first, { slot: 2, number: 1, revision: 4 });
  await assert.rejects(ledger.verify(gap, 4), /revision 4 follows 2/);
});

test("half a transaction is found", async () => {
  const ledger = new Ledger(1);
  ledger.wrote(writeOf(ledger, 8, 1), 2);
  const torn = telling(
    { slot: 8, number: 1, revision: 2, keys: [keysOf(8)[0] as string] },
    { slot: 1, number: 1, revision: 3 },
  );
  await assert.rejects(ledger.verify(torn, 3), /revision 2 is torn/);
});

test("a stale read is found by the revision it says, and by the history", async () => {
  const ledger = new Ledger(1);
  ledger.wrote(writeOf(ledger, 1, 1), 2);
  const [key] = keysOf(1) as [string];
  assert.throws(() => ledger.read(key, ledger.floor, 1, 0), /stale read of load/);
  ledger.read(key, 2, 2, 0); // says revision 2 and shows nothing
  await assert.rejects(ledger.verify(telling(first), 2), /the history says 1 of 2/);
});

test("a write with a revision that is too low, or given twice, is found", () => {
  const ledger = new Ledger(1);
  const early = writeOf(ledger, 3, 1);
  ledger.wrote(writeOf(ledger, 1, 1), 5);
  assert.throws(() => ledger.wrote(writeOf(ledger, 2, 1), 4), /although 5 had been seen/);
  assert.throws(() => ledger.wrote(early, 5), /revision 5 was given to/);
});
