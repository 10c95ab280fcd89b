import assert from "node:assert/strict";
import { type ChildProcess, spawn } from "node:child_process";
import { readdirSync } from "node:fs";
import { test } from "node:test";
import { fileURLToPath } from "node:url";
import { emptyBytes, keyToBytes, SeededRandom } from "@etcd-ts/base";
import { LmdbBackend } from "../src/index.ts";
import { numberIn, readNumber, revisionKey } from "./numbered.ts";
import { makeTestFolder, removeTestFolder } from "./test-folder.ts";

const child = fileURLToPath(new URL("./writer-child.js", import.meta.url));
const replaceChild = fileURLToPath(new URL("./replace-child.js", import.meta.url));
const puts = 400;

interface Ended {
  /** Numbers that the process printed. */
  readonly acknowledged: number[];
  readonly output: string;
  readonly code: number | null;
}

/** Runs a writer; `seen` may kill it. */
function runWriter(
  command: string,
  args: string[],
  seen: (process: ChildProcess, count: number) => void,
): Promise<Ended> {
  return new Promise((resolve, reject) => {
    const writer = spawn(command, args, { stdio: ["ignore", "pipe", "inherit"] });
    let output = "";
    let count = 0;
    writer.stdout?.on("data", (text) => {
      output += text;
      count++;
      seen(writer, count);
    });
    writer.once("error", reject);
    writer.once("close", (code) => {
      // The last line may be cut off.
      const lines = output.split("\n").slice(0, -1);
      resolve({ acknowledged: lines.map(Number).filter((n) => !Number.isNaN(n)), output, code });
    });
  });
}

/** Everything in the store is of one commit. */
function checkWhole(backend: LmdbBackend, acknowledged: number): number {
  const round = readNumber(backend);
  assert.ok(round >= acknowledged, `${acknowledged} was acknowledged, ${round} is there`);
  let last = 0;
  backend.scan("key", emptyBytes, undefined, Number.POSITIVE_INFINITY, (_key, value) => {
    last = numberIn(value);
    return true;
  });
  assert.equal(last, round);
  for (let i = 0; i < puts; i++) {
    const value = backend.get("key", revisionKey(round * puts + i));
    assert.equal(value && numberIn(value), round);
  }
  assert.equal(backend.get("key", revisionKey((round + 1) * puts)), undefined);
  const lease = backend.get("lease", keyToBytes(String(round % 50)));
  assert.equal(lease && numberIn(lease), round);
  return round;
}

test("after kill -9 the store is as it was at a commit that is not older than the last acknowledged", async () => {
  const directory = makeTestFolder();
  const random = new SeededRandom(20);
  try {
    let before = 0;
    for (let attempt = 0; attempt < 5; attempt++) {
      const killAt = 3 + random.below(25);
      const delayMs = random.below(8);
      const ended = await runWriter(
        process.execPath,
        [child, directory, String(puts)],
        (writer, n) => {
          if (n === killAt) setTimeout(() => writer.kill("SIGKILL"), delayMs);
        },
      );
      const acknowledged = ended.acknowledged.at(-1) ?? 0;
      assert.ok(acknowledged > before);
      const backend = await LmdbBackend.open(directory);
      before = checkWhole(backend, acknowledged);
      await backend.close();
    }
  } finally {
    removeTestFolder(directory);
  }
});

test("after kill -9 during replacements the content is of one of them, and no older than the last that was done", async () => {
  const directory = makeTestFolder();
  const random = new SeededRandom(21);
  try {
    let before = 0;
    for (let attempt = 0; attempt < 5; attempt++) {
      const killAt = 2 + random.below(3);
      const delayMs = random.below(60);
      const ended = await runWriter(
        process.execPath,
        [replaceChild, directory, String(puts * 5)],
        (writer, n) => {
          if (n === killAt) setTimeout(() => writer.kill("SIGKILL"), delayMs);
        },
      );
      const acknowledged = ended.acknowledged.at(-1) ?? 0;
      assert.ok(acknowledged > before);
      const backend = await LmdbBackend.open(directory);
      const round = readNumber(backend);
      assert.ok(round >= acknowledged);
      let count = 0;
      backend.scan("key", emptyBytes, undefined, Number.POSITIVE_INFINITY, (_key, value) => {
        assert.equal(numberIn(value), round);
        count++;
        return true;
      });
      assert.equal(count, puts * 5);
      const lease = backend.get("lease", keyToBytes(String(round % 50)));
      assert.equal(lease && numberIn(lease), round);
      before = round;
      await backend.close();
      assert.deepEqual(readdirSync(directory).sort(), ["data.mdb", "data.mdb-lock"]);
    }
  } finally {
    removeTestFolder(directory);
  }
});

test("a file that cannot grow fails the commit, and what was committed stays", {
  skip: process.platform === "win32" && "needs ulimit",
}, async () => {
  const directory = makeTestFolder();
  try {
    const limited = `ulimit -f 6000; exec "${process.execPath}" "${child}" "${directory}" ${puts}`;
    const ended = await runWriter("/bin/sh", ["-c", limited], () => {});
    assert.match(ended.output, /error DiskError (io|no-space)/);
    assert.equal(ended.code, 3);
    const acknowledged = ended.acknowledged.at(-1) ?? 0;
    assert.ok(acknowledged > 5);
    const backend = await LmdbBackend.open(directory);
    assert.equal(checkWhole(backend, acknowledged), acknowledged);
    await backend.close();
  } finally {
    removeTestFolder(directory);
  }
});
