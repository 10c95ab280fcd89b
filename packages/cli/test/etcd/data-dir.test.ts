import assert from "node:assert/strict";
import { chmodSync } from "node:fs";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import { type NodeLog, silentLog } from "@etcd-ts/node";
import { inspectDataDir } from "../../src/etcd/data-dir.ts";

test("a data folder that is open to others is pointed out", async () => {
  const folder = await mkdtemp(join(tmpdir(), "etcd-ts-mode-"));
  const lines: unknown[] = [];
  const log = {
    ...silentLog,
    warn: (message: string, fields: unknown) => void lines.push([message, fields]),
  } as NodeLog;
  try {
    assert.equal(inspectDataDir(join(folder, "not-there"), "", log), false);
    chmodSync(folder, 0o700);
    assert.equal(inspectDataDir(folder, "", log), false);
    assert.deepEqual(lines, []);
    chmodSync(folder, 0o750);
    assert.equal(inspectDataDir(folder, "", log), false);
    const error = `others than its owner may get into ${folder}, whose mode is 750: 700 is recommended`;
    assert.deepEqual(lines, [["check file permission", { error }]]);
  } finally {
    await rm(folder, { recursive: true });
  }
});
