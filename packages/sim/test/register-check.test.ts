import assert from "node:assert/strict";
import { test } from "node:test";
import { checkRegister, type RegisterOperation } from "../src/index.ts";

function put(from: number, to: number | undefined, value: string): RegisterOperation {
  const name = `put ${value}`;
  return { name, invokedMs: from, returnedMs: to, requires: undefined, leaves: { value } };
}

function get(from: number, to: number, value: string | undefined): RegisterOperation {
  const name = `get ${value}`;
  return { name, invokedMs: from, returnedMs: to, requires: { value }, leaves: undefined };
}

function remove(from: number, to: number | undefined): RegisterOperation {
  const leaves = { value: undefined };
  return { name: "delete", invokedMs: from, returnedMs: to, requires: undefined, leaves };
}

function verdict(...operations: RegisterOperation[]): string {
  return checkRegister(operations).verdict;
}

test("what overlaps may have happened in any order, what does not in one", () => {
  assert.equal(verdict(put(0, 10, "a"), get(1, 9, undefined), get(2, 8, "a")), "linearizable");
  assert.equal(verdict(put(0, 10, "a"), get(1, 3, "a"), get(4, 9, undefined)), "not linearizable");
  assert.equal(verdict(put(0, 1, "a"), get(2, 3, undefined)), "not linearizable");
  assert.equal(verdict(put(0, 1, "a"), put(2, 3, "b"), get(4, 5, "a")), "not linearizable");
  assert.equal(verdict(put(0, 5, "a"), put(2, 3, "b"), get(6, 7, "a")), "linearizable");
});

test("what nobody heard of may have happened, at any time or never, but once", () => {
  const lost = put(0, undefined, "a");
  assert.equal(verdict(lost, get(5, 6, undefined), get(7, 8, "a")), "linearizable");
  assert.equal(verdict(lost, get(5, 6, undefined), get(7, 8, undefined)), "linearizable");
  assert.equal(
    verdict(lost, get(1, 2, "a"), put(3, 4, "b"), get(5, 6, "a")),
    "not linearizable",
    "it cannot happen a second time",
  );
  assert.equal(verdict(get(0, 1, "a"), put(2, undefined, "a")), "not linearizable");
  assert.equal(verdict(put(0, 1, "a"), remove(2, undefined), get(3, 4, undefined)), "linearizable");
});

test("what a write replaced counts as read", () => {
  const swap: RegisterOperation = { ...put(2, 3, "b"), requires: { value: "x" } };
  assert.equal(verdict(put(0, 1, "a"), swap), "not linearizable");
  assert.equal(verdict(put(0, 1, "x"), swap, get(4, 5, "b")), "linearizable");
});

test("too many deletions of unknown outcome are given up on, not guessed at", () => {
  const lost = Array.from({ length: 15 }, (_, i) => remove(i, undefined));
  assert.equal(verdict(...lost, put(20, 21, "a"), get(22, 23, "a")), "too many open operations");
});
