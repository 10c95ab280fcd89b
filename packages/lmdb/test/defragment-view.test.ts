// A view that was asked for before a defragmentation, and that opens while that waits for the last commit,
// must be as good as one that was open already.

import assert from "node:assert/strict";
import { test } from "node:test";
import { keyToBytes } from "@etcd-ts/base";
import { LmdbBackend } from "../src/index.ts";
import { makeTestFolder, removeTestFolder } from "./test-folder.ts";

test("a view under way holds back defragmentation", async () => {
  const directory = makeTestFolder();
  const backend = await LmdbBackend.open(directory);
  for (let i = 0; i < 2_000; i++) {
    backend.put("meta", keyToBytes(`key-${String(i).padStart(6, "0")}`), new Uint8Array(500));
  }
  const viewing = backend.view(); // commits first, so it is not open yet
  let defragmented = false;
  const defragmenting = backend.defragment().then(() => {
    defragmented = true;
  });
  const view = await viewing;
  await new Promise((resolve) => setTimeout(resolve, 300));
  const wasDefragmented = defragmented;
  if (!wasDefragmented) view.close();
  await defragmenting;
  if (wasDefragmented) {
    // Reading it now may end the process: this is what a snapshot stream would do.
    let count = 0;
    try {
      view.scan("meta", keyToBytes(""), undefined, 1e9, () => ++count > 0);
    } catch (error) {
      process.stderr.write(`reading the view: ${String(error)}\n`);
    }
    process.stderr.write(`the view shows ${count} of 2000 pairs\n`);
  }
  assert.equal(wasDefragmented, false, "the store was replaced under an open view");
  await backend.close();
  removeTestFolder(directory);
});
