// Membership that came as JSON of the v2 store, and what becomes of the buckets' own.

import assert from "node:assert/strict";
import { test } from "node:test";
import { CorruptionError, keyToBytes, utf8ToBytes } from "@etcd-ts/base";
import { openMachine } from "@etcd-ts/machine";
import { MemoryBackend } from "@etcd-ts/storage";
import { importDatabase } from "../../src/restore/import-database.ts";
import { readV2Store, v2StoreJson } from "../../src/v2-store.ts";
import { databaseBytes, diskOf, filledMachine, pause, turnTimers } from "./database-files.ts";

const path = "/data/member/snap/0000000000000010.snap.db";

const members = [
  {
    id: 1n,
    peerUrls: ["http://127.0.0.1:1"],
    isLearner: false,
    name: "m1",
    clientUrls: ["http://127.0.0.1:11", "http://127.0.0.1:12"],
  },
  {
    id: 0xfedcba9876543211n,
    peerUrls: ["http://127.0.0.1:2"],
    isLearner: true,
    name: "",
    clientUrls: [],
  },
];

function given(): Uint8Array {
  return utf8ToBytes(v2StoreJson(members, [7n, 0xffffffffffffffffn], "3.5.0"));
}

test("the members in a snapshot are read as they were written", () => {
  assert.deepEqual(readV2Store(given(), path), {
    members,
    removedIds: [7n, 0xffffffffffffffffn],
    clusterVersion: "3.5.0",
  });
  assert.equal(readV2Store(new Uint8Array(0), path), undefined);
  assert.equal(readV2Store(utf8ToBytes(v2StoreJson([], [], "")), path), undefined);
});

test("a snapshot whose members cannot be read is refused", () => {
  const bad = [
    "{",
    "[]",
    '{"Root":{"Children":{"0":{"Children":{"members":{"Children":{"xyz":{"Children":{}}}}}}}}}',
    new TextDecoder().decode(given()).replace('\\"peerURLs\\":[', '\\"peerURLs\\":[3,'),
    new TextDecoder().decode(given()).replace('{\\"name', "{name"),
  ];
  for (const text of bad) {
    assert.throws(() => readV2Store(utf8ToBytes(text), path), CorruptionError, text);
  }
});

test("of a database of 3.5 and older the snapshot's members count, of a newer one its own", async () => {
  for (const isNew of [false, true]) {
    const source = filledMachine(1, 50);
    if (!isNew) source.backend.delete("meta", keyToBytes("storageVersion"));
    source.backend.put("members_removed", keyToBytes("99"), keyToBytes("removed"));
    const bytes = await databaseBytes(source.backend);
    const backend = new MemoryBackend({ timers: turnTimers });
    const membership = readV2Store(given(), path);
    await importDatabase(diskOf(path, bytes), path, backend, { pause, membership });
    const machine = await openMachine({ backend }, pause);
    assert.equal(machine.revision, source.machine.revision);
    if (isNew) {
      assert.deepEqual(machine.members.list(), source.machine.members.list());
      assert.deepEqual(machine.members.removedIds, [0x99n]);
      assert.equal(machine.members.clusterVersion, "3.7.0");
    } else {
      assert.deepEqual(machine.members.list(), members);
      assert.deepEqual(machine.members.removedIds, [7n, 0xffffffffffffffffn]);
      assert.equal(machine.members.clusterVersion, "3.5.0");
    }
    await backend.close();
  }
});
