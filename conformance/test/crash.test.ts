import assert from "node:assert/strict";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import { SeededRandom } from "@etcd-ts/base";
import { killRounds } from "../src/crash/kill-rounds.ts";
import { ours } from "../src/programs.ts";

test("no acknowledged write is lost in 20 kills under load", async () => {
  const dataDir = mkdtempSync(join(tmpdir(), "etcd-kill-"));
  try {
    const acknowledged = await killRounds({
      programs: ours,
      dataDir,
      random: new SeededRandom(Number(process.env["SEED"] ?? 3)),
      rounds: 20,
      writerCount: 16,
      loadMsMax: 300,
      // Small, so that snapshots of the log and switches of segments fall among the kills.
      args: ["--snapshot-count", "500"],
    });
    assert.ok(acknowledged > 1000, `only ${acknowledged} writes were acknowledged`);
  } finally {
    rmSync(dataDir, { recursive: true, force: true });
  }
});
