// A new file in the place of the old one stands a large first commit. (LMDB once aborted the process there.)

import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { test } from "node:test";
import { fileURLToPath } from "node:url";
import { makeTestFolder, removeTestFolder } from "./test-folder.ts";

const child = fileURLToPath(new URL("./churn-child.js", import.meta.url));

for (const how of ["defragment", "replace"]) {
  test(`a commit that frees a thousand pages right behind: ${how}`, () => {
    const directory = makeTestFolder();
    try {
      const run = spawnSync(process.execPath, [child, directory, how], { encoding: "utf8" });
      assert.deepEqual([run.signal, run.status, run.stdout], [null, 0, "38000\n"], run.stderr);
    } finally {
      removeTestFolder(directory);
    }
  });
}
