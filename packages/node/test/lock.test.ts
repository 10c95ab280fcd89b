import assert from "node:assert/strict";
import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { rename, rm, writeFile } from "node:fs/promises";
import { test } from "node:test";
import { fileURLToPath } from "node:url";
import { nodeHost, silentLog } from "../src/index.ts";
import { inScratch } from "./scratch.ts";

const { disk } = nodeHost({ log: silentLog });
const program = fileURLToPath(new URL("./lock-holder.js", import.meta.url));

class Holder {
  readonly process: ChildProcess;
  readonly answer: Promise<string>;
  readonly #exited: Promise<unknown>;

  constructor(path: string) {
    this.process = spawn(process.execPath, [program, path], { stdio: ["pipe", "pipe", "inherit"] });
    this.#exited = once(this.process, "exit");
    this.answer = new Promise((resolve) => {
      this.process.stdout?.once("data", (chunk) => resolve(String(chunk).trim()));
    });
  }

  async end(signal?: NodeJS.Signals): Promise<void> {
    if (signal === undefined) this.process.stdin?.end();
    else this.process.kill(signal);
    await this.#exited;
  }
}

test("another process is kept out, and let in after kill -9 or release", () =>
  inScratch(async (directory) => {
    const path = `${directory}/lock`;
    const first = new Holder(path);
    assert.equal(await first.answer, "locked");
    await assert.rejects(disk.lock(path), { code: "locked", path });
    await first.end("SIGKILL");
    const lock = await disk.lock(path);
    const second = new Holder(path);
    assert.equal(await second.answer, "refused locked");
    await second.end();
    await lock.release();
    const third = new Holder(path);
    assert.equal(await third.answer, "locked");
    await third.end();
    await (await disk.lock(path)).release();
  }));

test("of many processes that race for a lock one gets it", () =>
  inScratch(async (directory) => {
    const holders = Array.from({ length: 4 }, () => new Holder(`${directory}/lock`));
    const answers = await Promise.all(holders.map((holder) => holder.answer));
    assert.deepEqual(answers.sort(), ["locked", ...Array(3).fill("refused locked")]);
    for (const holder of holders) await holder.end("SIGKILL");
  }));

test("a lock is on the file, under whatever name, and a new file is a new lock", () =>
  inScratch(async (directory) => {
    const first = await disk.lock(`${directory}/lock`);
    await rename(`${directory}/lock`, `${directory}/moved`);
    await assert.rejects(disk.lock(`${directory}/moved`), { code: "locked" });
    const second = await disk.lock(`${directory}/lock`);
    await first.release();
    await second.release();
    await writeFile(`${directory}/lock`, "content stays");
    await (await disk.lock(`${directory}/lock`)).release();
    await rm(`${directory}/lock`);
    await assert.rejects(disk.lock(`${directory}/none/lock`), { code: "not-found" });
  }));
