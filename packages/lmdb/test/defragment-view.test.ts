// A view that was asked for before a defragmentation, or opened before it, stays good over it: this is what a snapshot
// stream reads, at the pace of its client.

import assert from "node:assert/strict";
import { test } from "node:test";
import { keyToBytes } from "@etcd-ts/base";
import type { BackendReader } from "@etcd-ts/machine";
import { LmdbBackend } from "../src/index.ts";
import { makeTestFolder, removeTestFolder } from "./test-folder.ts";

function count(reader: BackendReader): number {
  let found = 0;
  reader.scan("meta", keyToBytes(""), undefined, 1e9, () => ++found > 0);
  return found;
}

test("views that were opened or asked for before a defragmentation show the same after it", async () => {
  const directory = makeTestFolder();
  const backend = await LmdbBackend.open(directory);
  const early = await backend.view();
  for (let i = 0; i < 2_000; i++) {
    backend.put("meta", keyToBytes(`key-${String(i).padStart(6, "0")}`), new Uint8Array(500));
  }
  const viewing = backend.view(); // commits first, so it is not open yet
  const defragmenting = backend.defragment();
  const view = await viewing;
  await defragmenting;
  for (let i = 0; i < 1_000; i++)
    backend.delete("meta", keyToBytes(`key-${String(i).padStart(6, "0")}`));
  await backend.defragment();
  assert.equal(count(early), 0);
  assert.equal(count(view), 2_000);
  assert.equal(count(backend), 1_000);
  early.close();
  await backend.defragment();
  assert.equal(count(view), 2_000);
  view.close();
  const last = await backend.view();
  assert.equal(count(last), 1_000);
  last.close();
  await backend.close();
  removeTestFolder(directory);
});
