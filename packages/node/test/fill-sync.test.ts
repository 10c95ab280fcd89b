// A sync that fails while a file is being filled concerns what was written to it before: the kernel reports
// it once and forgets the pages, so no later sync of that file may say that all is well.

import assert from "node:assert/strict";
import fs from "node:fs";
import { syncBuiltinESMExports } from "node:module";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import { nodeDisk } from "../src/disk.ts";

test("a failed sync of the filling is not followed by a successful sync of the log", async () => {
  const folder = fs.mkdtempSync(join(tmpdir(), "fill-sync-"));
  const real = fs.fdatasync;
  let failNext = true;
  (fs as { fdatasync: unknown }).fdatasync = (fd: number, done: (error: Error | null) => void) => {
    if (!failNext) return real(fd, done);
    failNext = false;
    setImmediate(
      done,
      Object.assign(new Error("ENOSPC"), { code: "ENOSPC", syscall: "fdatasync" }),
    );
  };
  syncBuiltinESMExports();
  try {
    const file = await nodeDisk().open(join(folder, "log"), "create");
    const filled = file.preallocate(16 << 20);
    const written = new Promise<Error | undefined>((done) =>
      file.write(0, [new Uint8Array(4096).fill(7)], done),
    );
    assert.equal(await written, undefined);
    await assert.rejects(filled);
    const synced = await new Promise<Error | undefined>((done) => file.sync(done));
    assert.notEqual(
      synced,
      undefined,
      "the data of the write is lost, and the sync says it is there",
    );
    await file.close();
  } finally {
    (fs as { fdatasync: unknown }).fdatasync = real;
    syncBuiltinESMExports();
    fs.rmSync(folder, { recursive: true });
  }
});
