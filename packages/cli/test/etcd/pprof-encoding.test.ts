import assert from "node:assert/strict";
import { test } from "node:test";
import { bytesToUtf8, WireReader } from "@etcd-ts/base";
import { encodeProfile } from "../../src/etcd/pprof-encoding.ts";

type Fields = Map<number, (number | bigint | Uint8Array)[]>;

/** The fields of a message by number, whatever they mean. */
function fieldsOf(bytes: Uint8Array): Fields {
  const fields: Fields = new Map();
  const reader = new WireReader(bytes, 0, bytes.length);
  while (reader.position < reader.end) {
    const tag = reader.tag();
    const value = (tag & 7) === 2 ? reader.blob() : reader.bigUint64();
    fields.set(tag >>> 3, [...(fields.get(tag >>> 3) ?? []), value]);
  }
  return fields;
}

function packed(bytes: Uint8Array): number[] {
  const reader = new WireReader(bytes, 0, bytes.length);
  const values: number[] = [];
  while (reader.position < reader.end) values.push(reader.uint64());
  return values;
}

test("a profile says who was called by whom, each function, line and text once", () => {
  const inner = { functionName: "inner", url: "file:///a.js", lineNumber: 4 };
  const outer = { functionName: "", url: "file:///a.js", lineNumber: 0 };
  const bytes = encodeProfile({
    sampleTypes: [["cpu", "nanoseconds"]],
    samples: [
      { frames: [inner, outer], values: [300] },
      { frames: [outer], values: [2 ** 40] },
    ],
    periodType: ["cpu", "nanoseconds"],
    period: 1000,
    wallMs: 1_700_000_000_123,
    durationMs: 2.5,
  });
  const profile = fieldsOf(bytes);
  const nested = (field: number): Fields[] =>
    (profile.get(field) ?? []).map((message) => fieldsOf(message as Uint8Array));
  const texts = (profile.get(6) ?? []).map((text) => bytesToUtf8(text as Uint8Array));
  assert.equal(texts[0], "");
  assert.equal(new Set(texts).size, texts.length);
  const text = (fields: Fields | undefined, field: number): string =>
    texts[Number(fields?.get(field)?.[0] ?? 0)] ?? "?";
  const functions = new Map(nested(5).map((each) => [each.get(1)?.[0], each]));
  const lines = new Map(
    nested(4).map((location) => {
      const line = fieldsOf(location.get(4)?.[0] as Uint8Array);
      const named = functions.get(line.get(1)?.[0]);
      const shown = `${text(named, 2)} ${text(named, 4)}:${line.get(2)?.[0]}`;
      return [Number(location.get(1)?.[0]), shown] as const;
    }),
  );
  assert.deepEqual([functions.size, lines.size], [2, 2]);
  const samples = nested(2).map((sample) => ({
    stack: packed(sample.get(1)?.[0] as Uint8Array).map((id) => lines.get(id)),
    values: packed(sample.get(2)?.[0] as Uint8Array),
  }));
  assert.deepEqual(samples, [
    { stack: ["inner /a.js:5", "(anonymous) /a.js:1"], values: [300] },
    { stack: ["(anonymous) /a.js:1"], values: [2 ** 40] },
  ]);
  const [type] = nested(1);
  assert.deepEqual([text(type, 1), text(type, 2)], ["cpu", "nanoseconds"]);
  const [period] = nested(11);
  assert.deepEqual([text(period, 1), text(period, 2)], ["cpu", "nanoseconds"]);
  assert.deepEqual(profile.get(12), [1000n]);
  assert.deepEqual(profile.get(10), [2_500_000n]);
  assert.equal(Number(profile.get(9)?.[0]) / 1e6, 1_700_000_000_123);
});
