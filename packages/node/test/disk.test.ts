import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { symlinkSync, writeFileSync } from "node:fs";
import { mkdir, stat } from "node:fs/promises";
import { test } from "node:test";
import type { Bytes, DiskFile } from "@etcd-ts/base";
import { nodeHost, silentLog } from "../src/index.ts";
import { inScratch } from "./scratch.ts";

const { disk } = nodeHost({ log: silentLog });

function write(file: DiskFile, position: number, bytes: Bytes): Promise<void> {
  return new Promise((resolve, reject) => {
    file.write(position, [bytes], (error) => (error === undefined ? resolve() : reject(error)));
  });
}

test("a preallocated file has its blocks", () =>
  inScratch(async (directory) => {
    const file = await disk.open(`${directory}/segment`, "create");
    await file.preallocate(9 << 20);
    await file.close();
    const { size, blocks } = await stat(`${directory}/segment`);
    assert.equal(size, 9 << 20);
    assert.ok(blocks * 512 >= 9 << 20, `${blocks} blocks`);
  }));

test("more parts than one system call takes are written whole", () =>
  inScratch(async (directory) => {
    const file = await disk.open(`${directory}/parts`, "create");
    const parts = Array.from({ length: 3000 }, (_, i) => Uint8Array.of(i & 255));
    await new Promise<void>((resolve, reject) => {
      file.write(0, parts, (error) => (error === undefined ? resolve() : reject(error)));
    });
    assert.deepEqual(await file.read(0, 5000), Buffer.concat(parts));
    await file.close();
  }));

test("files are for their owner only", () =>
  inScratch(async (directory) => {
    await disk.makeDirectory(`${directory}/a/b`);
    await (await disk.open(`${directory}/a/b/c`, "create")).close();
    assert.equal((await stat(`${directory}/a`)).mode & 0o777, 0o700);
    assert.equal((await stat(`${directory}/a/b/c`)).mode & 0o077, 0);
  }));

test("errors name what was tried, on what, and why, as etcd's do", () =>
  inScratch(async (directory) => {
    const none = `${directory}/none`;
    const missing = { code: "not-found", path: none };
    const text = `open ${none}: no such file or directory`;
    await assert.rejects(disk.open(none, "read"), { ...missing, message: text });
    writeFileSync(none, "");
    await assert.rejects(disk.makeDirectory(none), { message: /^mkdir .*: file exists$/ });
    await assert.rejects(disk.makeDirectory(`${none}/x`), {
      message: /^mkdir .*: not a directory$/,
    });
    symlinkSync(`${directory}/nowhere`, `${directory}/link`);
    for (const path of [`${directory}/link`, `${directory}/link/below`]) {
      await assert.rejects(disk.makeDirectory(path), {
        message: /^mkdir .*\/link: there is a symbolic link here that leads nowhere$/,
      });
    }
    symlinkSync(directory, `${directory}/fine`);
    await disk.makeDirectory(`${directory}/fine/below`);
  }));

test("a folder below one that takes none is refused, where Node's own recursion never ends", () =>
  inScratch(async (directory) => {
    for (const path of ["/proc/none", "/proc/none/below"]) {
      await assert.rejects(disk.makeDirectory(path), {
        code: "not-found",
        message: "mkdir /proc/none: no such file or directory",
      });
    }
    // Two that make the same folders at once both succeed.
    const path = `${directory}/a/b/c/d`;
    await Promise.all([disk.makeDirectory(path), disk.makeDirectory(path)]);
    assert.ok((await stat(path)).isDirectory());
  }));

test("a full disk is said to be full, and what was written stays", (context) =>
  inScratch(async (directory) => {
    const mountPoint = `${directory}/small`;
    await mkdir(mountPoint);
    try {
      execFileSync("mount", ["-t", "tmpfs", "-o", "size=1m", "tmpfs", mountPoint], {
        stdio: "pipe",
      });
    } catch (error) {
      context.skip(`needs the right to mount a tmpfs: ${(error as Error).message.split("\n")[1]}`);
      return;
    }
    try {
      const file = await disk.open(`${mountPoint}/file`, "create");
      await write(file, 0, Buffer.from("first"));
      const full = { code: "no-space", message: /^write .*: no space left on device$/ };
      // Larger than what is left: a short write, then the error.
      await assert.rejects(write(file, 5, new Uint8Array(2 << 20)), full);
      await assert.rejects(file.preallocate(4 << 20), { code: "no-space" });
      assert.equal(Buffer.from(await file.read(0, 5)).toString(), "first");
      await file.truncate(5);
      await write(file, 5, Buffer.from(" second"));
      await file.close();
    } finally {
      execFileSync("umount", [mountPoint]);
    }
  }));
