import assert from "node:assert/strict";
import { test } from "node:test";
import {
  decodePutRequest,
  Event,
  encodeWatchResponse,
  KeyValue,
  WatchResponse,
} from "@etcd-ts/api";
import { utf8ToBytes } from "@etcd-ts/base";
import { numberedPut, numberedValue, sequenceAtEnd } from "../src/load/watchers.ts";

function response(sequences: readonly number[]): Uint8Array {
  const watch = new WatchResponse();
  for (const sequence of sequences) {
    const event = new Event();
    event.kv = new KeyValue();
    event.kv.key = utf8ToBytes("key");
    event.kv.modRevision = 1_000_000;
    event.kv.version = 300;
    event.kv.value = numberedValue(sequence);
    watch.events.push(event);
  }
  return encodeWatchResponse(watch);
}

test("a response with one event ends with the number of its put", () => {
  for (const sequence of [0, 1, 255, 65_536, 4_000_000_000]) {
    assert.equal(sequenceAtEnd(response([sequence])), sequence);
    const put = decodePutRequest(numberedPut(7, sequence).message);
    assert.equal(sequenceAtEnd(put.value), sequence);
  }
});

test("a response with several events is long enough to be told apart, and one without has no number", () => {
  assert.ok(response([1]).length < 512);
  assert.ok(response([1, 2]).length >= 512);
  assert.equal(sequenceAtEnd(encodeWatchResponse(new WatchResponse())), -1);
  assert.equal(sequenceAtEnd(new Uint8Array(300)), -1);
});
