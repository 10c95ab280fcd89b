import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { bytesToKey, emptyBytes, keyToBytes } from "@etcd-ts/base";
import { backendContract } from "@etcd-ts/machine/testing";
import { DurableCell, MemoryBackend } from "../src/index.ts";
import { turnTimers } from "./fixtures.ts";

describe("the memory backend fulfils the contract", () => {
  backendContract(
    (name, run) => void test(name, run),
    async () => {
      const cell = new DurableCell();
      return {
        open: async () => new MemoryBackend({ timers: turnTimers, cell }),
        dispose: async () => {},
      };
    },
  );
});

function keysOf(backend: MemoryBackend): string {
  const keys: string[] = [];
  backend.scan("meta", emptyBytes, undefined, 100, (key) => {
    keys.push(bytesToKey(key));
    return true;
  });
  return keys.join("");
}

test("after a crash exactly a prefix of the commits is there", () => {
  for (let surviving = 0; surviving <= 3; surviving++) {
    const cell = new DurableCell();
    const backend = new MemoryBackend({ timers: turnTimers, cell });
    for (const key of ["a", "b", "c"]) {
      backend.put("meta", keyToBytes(key), emptyBytes);
      backend.commit(() => assert.fail("a commit of a crashed backend calls back"));
    }
    backend.put("meta", keyToBytes("d"), emptyBytes);
    assert.equal(cell.inFlightCount, 3);
    cell.crash(surviving);
    const after = new MemoryBackend({ timers: turnTimers, cell });
    assert.equal(keysOf(after), "abc".slice(0, surviving));
  }
});

test("a crashed backend changes nothing any more", async () => {
  const cell = new DurableCell();
  const old = new MemoryBackend({ timers: turnTimers, cell });
  old.put("meta", keyToBytes("a"), emptyBytes);
  old.commit(() => assert.fail("called back after the crash"));
  const fresh = new MemoryBackend({ timers: turnTimers, cell });
  fresh.put("meta", keyToBytes("b"), emptyBytes);
  await fresh.close();
  assert.equal(keysOf(new MemoryBackend({ timers: turnTimers, cell })), "b");
});

test("a failing cell fails commits and stays as it was", async () => {
  const cell = new DurableCell();
  const backend = new MemoryBackend({ timers: turnTimers, cell });
  cell.failure = new Error("no space left on device");
  backend.put("meta", keyToBytes("a"), emptyBytes);
  await assert.rejects(backend.close(), /no space left/);
  cell.failure = undefined;
  assert.equal(keysOf(new MemoryBackend({ timers: turnTimers, cell })), "");
});
