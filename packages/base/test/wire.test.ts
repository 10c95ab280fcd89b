import assert from "node:assert/strict";
import { test } from "node:test";
import {
  build,
  finished,
  SeededRandom,
  sizeBytes,
  sizeNested,
  sizeSignedVarint,
  sizeText,
  sizeVarint,
  sizeVarint64,
  WireError,
  WireReader,
  writeBytes,
  writeSignedVarint,
  writeText,
  writeVarint,
  writeVarint64,
} from "../src/index.ts";

type Write<T> = (target: Uint8Array, position: number, value: T) => number;

/** Writes at position 1 of a marked buffer, checks size and marks, gives the bytes. */
function written<T>(write: Write<T>, value: T, size: number): Uint8Array {
  const buffer = new Uint8Array(size + 2).fill(0xee);
  assert.equal(write(buffer, 1, value), size + 1, `end after ${String(value)}`);
  assert.equal(buffer[0], 0xee);
  assert.equal(buffer[size + 1], 0xee);
  return buffer.subarray(1, size + 1);
}

/** The varint of an unsigned 64-bit integer, in plain bigint arithmetic. */
function plainVarint(value: bigint): number[] {
  const bytes: number[] = [];
  let rest = BigInt.asUintN(64, value);
  for (; rest > 127n; rest >>= 7n) bytes.push(Number(rest & 127n) | 128);
  return [...bytes, Number(rest)];
}

function readerOf(bytes: Iterable<number>): WireReader {
  const array = Uint8Array.from(bytes);
  return new WireReader(array, 0, array.length);
}

function interestingIntegers(): bigint[] {
  const values = new Set<bigint>([0n]);
  for (let bits = 0n; bits <= 64n; bits++) {
    for (const delta of [-1n, 0n, 1n]) {
      values.add((1n << bits) + delta);
      values.add(-(1n << bits) + delta);
    }
  }
  const dice = new SeededRandom(5);
  for (let i = 0; i < 500; i++) {
    const value = (BigInt(dice.next32()) << 32n) | BigInt(dice.next32());
    values.add(value >> BigInt(dice.below(64)));
  }
  return [...values];
}

test("bigint varints are those of plain arithmetic and wrap to 64 bits", () => {
  for (const value of interestingIntegers()) {
    const expected = plainVarint(value);
    assert.equal(sizeVarint64(value), expected.length, `${value}`);
    assert.deepEqual([...written(writeVarint64, value, expected.length)], expected, `${value}`);
    assert.equal(readerOf(expected).bigUint64(), BigInt.asUintN(64, value));
    assert.equal(readerOf(expected).bigInt64(), BigInt.asIntN(64, value));
    assert.equal(readerOf(expected).int32(), Number(BigInt.asIntN(32, value)));
    assert.equal(readerOf(expected).uint32(), Number(BigInt.asUintN(32, value)));
    assert.equal(readerOf(expected).bool(), BigInt.asUintN(64, value) !== 0n);
  }
});

test("number varints agree with bigint ones wherever they are safe, and refuse elsewhere", () => {
  for (const value of interestingIntegers()) {
    const number = Number(value);
    const bytes = plainVarint(value);
    const unsigned = BigInt.asUintN(64, value);
    if (Number.isSafeInteger(number) && number >= 0) {
      assert.equal(sizeVarint(number), bytes.length);
      assert.deepEqual([...written(writeVarint, number, bytes.length)], bytes);
    } else {
      assert.throws(() => sizeVarint(number), WireError);
      assert.throws(() => writeVarint(new Uint8Array(20), 0, number), WireError);
    }
    if (Number.isSafeInteger(number)) {
      assert.equal(sizeSignedVarint(number), bytes.length);
      assert.deepEqual([...written(writeSignedVarint, number, bytes.length)], bytes);
    } else {
      assert.throws(() => sizeSignedVarint(number), WireError);
      assert.throws(() => writeSignedVarint(new Uint8Array(20), 0, number), WireError);
    }
    if (unsigned <= BigInt(Number.MAX_SAFE_INTEGER)) {
      assert.equal(readerOf(bytes).uint64(), Number(unsigned));
    } else {
      assert.throws(() => readerOf(bytes).uint64(), WireError, `${value}`);
    }
    const signed = BigInt.asIntN(64, value);
    if (Number.isSafeInteger(Number(signed))) {
      assert.equal(readerOf(bytes).int64(), Number(signed));
    } else {
      assert.throws(() => readerOf(bytes).int64(), WireError, `${value}`);
    }
  }
});

test("what is no integer is not encoded", () => {
  for (const value of [0.5, 1.5, -0.5, Number.NaN, Infinity, -Infinity, 2 ** 53, -(2 ** 53)]) {
    assert.throws(() => sizeVarint(value), WireError, `${value}`);
    assert.throws(() => sizeSignedVarint(value), WireError, `${value}`);
    assert.throws(() => writeVarint(new Uint8Array(20), 0, value), WireError, `${value}`);
    assert.throws(() => writeSignedVarint(new Uint8Array(20), 0, value), WireError, `${value}`);
  }
});

test("a varint may be longer than it must be, up to ten bytes and 64 bits", () => {
  assert.equal(readerOf([0x80, 0x80, 0x00]).uint64(), 0);
  assert.equal(readerOf([0x81, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0]).uint64(), 1);
  assert.equal(readerOf([0x88, 0x80, 0x00]).tag(), 8);
  const ones = [0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff];
  assert.equal(readerOf([...ones, 0x01]).bigInt64(), -1n);
  assert.equal(readerOf([...ones, 0x01]).int64(), -1);
  assert.equal(readerOf([...ones, 0x01]).int32(), -1);
  assert.throws(() => readerOf([...ones, 0x02]).bigInt64(), /beyond 64 bits/);
  assert.throws(() => readerOf([...ones, 0x81, 0x00]).bigInt64(), /beyond 64 bits/);
  assert.throws(() => readerOf([0x80, 0x80]).uint64(), /cut short/);
  assert.throws(() => readerOf([]).uint64(), /cut short/);
});

test("tags are checked as protobuf for Go checks them", () => {
  assert.equal(readerOf([0xfa, 0xff, 0xff, 0xff, 0x0f]).tag(), 0xfffffffa);
  assert.throws(() => readerOf([0x00]).tag(), /field number 0/);
  assert.throws(() => readerOf([0x02]).tag(), /field number 0/);
  assert.throws(() => readerOf([0x82, 0x00]).tag(), /field number 0/);
  assert.throws(() => readerOf([0xfa, 0xff, 0xff, 0xff, 0x1f]).tag(), /beyond 2\^29/);
});

test("reading stops at the end that was given, though the buffer goes on", () => {
  const bytes = Uint8Array.from([0x05, 0xff, 0xff, 0x01, 0x01]);
  assert.throws(() => new WireReader(bytes, 1, 3).uint64(), /cut short/);
  assert.throws(() => new WireReader(bytes, 0, 5).blob(), /cut short/);
  assert.throws(() => new WireReader(bytes, 0, 5).open(), /cut short/);
  assert.throws(() => new WireReader(bytes, 0, 6), WireError);
  assert.throws(() => new WireReader(bytes, 3, 2), WireError);
  assert.throws(() => new WireReader(bytes, -1, 2), WireError);
  const reader = new WireReader(Uint8Array.from([3, 2, 0xaa, 0xbb, 9]), 0, 5);
  const outer = reader.open();
  assert.deepEqual([...reader.blob()], [0xaa, 0xbb]);
  assert.equal(reader.position, reader.end);
  reader.close(outer);
  assert.equal(reader.uint64(), 9);
});

test("unknown fields are passed over, whatever they are", () => {
  const pass = (bytes: number[]): number => {
    const reader = readerOf([...bytes, 0x7f]);
    reader.skip(reader.tag());
    return reader.position;
  };
  assert.equal(pass([0x08, 0xff, 0x01]), 3);
  assert.equal(pass([0x09, 1, 2, 3, 4, 5, 6, 7, 8]), 9);
  assert.equal(pass([0x0a, 2, 7, 7]), 4);
  assert.equal(pass([0x0d, 1, 2, 3, 4]), 5);
  assert.equal(pass([0x0b, 0x0c]), 2);
  assert.equal(pass([0x0b, 0x10, 1, 0x1b, 0x22, 1, 0, 0x1c, 0x0c]), 9);
  assert.throws(() => pass([0x0c]), /not begun/);
  assert.throws(() => pass([0x0b, 0x14]), /not begun/, "the end of another group");
  assert.throws(() => pass([0x0e]), /wire type 6/);
  assert.throws(() => pass([0x0f]), /wire type 7/);
  assert.throws(() => readerOf([0x09, 1, 2]).skip(0x09), /cut short/);
  const groups = (depth: number): number[] => [
    ...new Array<number>(depth).fill(0x0b),
    ...new Array<number>(depth).fill(0x0c),
  ];
  assert.equal(pass(groups(100)), 200);
  assert.throws(() => pass(groups(101)), /nested too deeply/);
});

test("nested messages have a depth limit", () => {
  const reader = new WireReader(new Uint8Array(2000), 0, 2000);
  for (let i = 0; i < 1000; i++) reader.close(reader.open());
  const deep = new WireReader(new Uint8Array(4000).fill(127), 0, 4000);
  for (let i = 0; i < 1000; i++) {
    deep.open();
    deep.end = 4000;
  }
  assert.throws(() => deep.open(), /nested too deeply/);
});

test("byte strings are views, and empty ones keep nothing alive", () => {
  const bytes = Uint8Array.from([2, 5, 6, 0]);
  const reader = new WireReader(bytes, 0, 4);
  const blob = reader.blob();
  assert.equal(blob.buffer, bytes.buffer);
  assert.equal(reader.blob().length, 0);
  const long = new Uint8Array(300).fill(9);
  assert.equal(sizeBytes(long), 302);
  assert.equal(sizeNested(300), 302);
  const out = written(writeBytes, long, 302);
  assert.deepEqual([...readerOf(out).blob()], [...long]);
});

test("texts of every length and alphabet survive", () => {
  for (const unit of ["a", "é", "日", "\u{1f600}", "\ufffd", "\0"]) {
    for (const count of [0, 1, 10, 31, 32, 33, 41, 42, 43, 63, 64, 127, 128, 5500]) {
      const text = unit.repeat(count);
      const utf8 = Buffer.from(text);
      const size = sizeText(text);
      const bytes = written(writeText, text, size);
      assert.deepEqual(Buffer.from(readerOf(bytes).blob()), utf8);
      assert.equal(readerOf(bytes).text(), text);
      assert.equal(readerOf(bytes).looseText(), text);
    }
  }
});

test("texts that are not UTF-8 are refused exactly where a strict decoder refuses them", () => {
  const strict = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true });
  const dice = new SeededRandom(11);
  const pieces = [
    [0x41],
    [0xef, 0xbf, 0xbd],
    [0xc3, 0xa9],
    [0xe0, 0xa0, 0x80],
    [0xed, 0x9f, 0xbf],
    [0xf0, 0x90, 0x80, 0x80],
    [0xf4, 0x8f, 0xbf, 0xbf],
  ];
  let refused = 0;
  let passed = 0;
  for (let i = 0; i < 20000; i++) {
    const bytes: number[] = [];
    for (let n = dice.below(4); n >= 0; n--) bytes.push(...dice.pick(pieces));
    if (dice.below(2) === 0) bytes[dice.below(bytes.length)] = 0x80 + dice.below(128);
    if (dice.below(4) === 0) bytes.pop();
    let expected: string | undefined;
    try {
      expected = strict.decode(Uint8Array.from(bytes));
    } catch {
      expected = undefined;
    }
    const reader = readerOf([bytes.length, ...bytes]);
    if (expected === undefined) {
      refused++;
      assert.throws(() => reader.text(), /not valid UTF-8/, Buffer.from(bytes).toString("hex"));
    } else {
      passed++;
      assert.equal(reader.text(), expected);
    }
  }
  assert.ok(refused > 3000 && passed > 3000, `${refused} refused, ${passed} passed`);
  assert.equal(readerOf([2, 0xc3, 0x28]).looseText(), "\ufffd(");
});

test("a message that was sized wrongly does not go out", () => {
  const bytes = new Uint8Array(3);
  assert.equal(finished(bytes, 3), bytes);
  assert.throws(() => finished(bytes, 4), WireError);
  assert.throws(() => finished(bytes, 2), WireError);
});

test("build makes a message of some fields", () => {
  class Pair {
    left = 1;
    right = 2;
  }
  const pair = build(Pair, { right: 5 });
  assert.ok(pair instanceof Pair);
  assert.deepEqual({ ...pair }, { left: 1, right: 5 });
});
