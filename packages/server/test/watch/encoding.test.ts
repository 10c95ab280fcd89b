import assert from "node:assert/strict";
import { test } from "node:test";
import {
  Event,
  encodeEvent,
  encodeKeyValue,
  encodeResponseHeader,
  encodeWatchResponse,
  KeyValue,
  ResponseHeader,
  WatchResponse,
} from "@etcd-ts/api";
import { bytesToHex, SeededRandom } from "@etcd-ts/base";
import { encodeControl, encodeEventField, encodeEvents } from "../../src/watch/encoding.ts";

function headerField(header: ResponseHeader): Uint8Array {
  const body = encodeResponseHeader(header);
  return new Uint8Array([0x0a, body.length, ...body]);
}

const ids = [0n, 1n, 127n, 128n, 0xffff_ffffn, 0x1_0000_0000n, -1n, -(2n ** 63n), 2n ** 63n - 1n];

test("responses with events equal those of the generated encoder", () => {
  const random = new SeededRandom(5);
  for (let round = 0; round < 500; round++) {
    const response = new WatchResponse();
    response.header = new ResponseHeader();
    response.header.clusterId = 2n ** 63n + BigInt(random.below(1000));
    response.header.revision = random.below(100_000);
    response.watchId = random.pick(ids);
    response.fragment = random.chance(1, 3);
    const fields: Uint8Array[] = [];
    for (let n = random.below(4); n >= 0; n--) {
      const event = new Event();
      event.type = random.below(2);
      event.kv = new KeyValue();
      event.kv.key = random.bytes(1 + random.below(20));
      event.kv.modRevision = 1 + random.below(1000);
      event.kv.value = random.bytes(random.pick([0, 1, 100, 200, 70_000]));
      if (random.chance(1, 2)) {
        event.prevKv = new KeyValue();
        event.prevKv.key = event.kv.key;
      }
      response.events.push(event);
      const previous = event.prevKv === undefined ? undefined : encodeKeyValue(event.prevKv);
      const field = encodeEventField(event.type === 1, encodeKeyValue(event.kv), previous);
      const encoded = encodeEvent(event);
      assert.equal(bytesToHex(field.subarray(field.length - encoded.length)), bytesToHex(encoded));
      fields.push(field);
    }
    const header = headerField(response.header);
    const actual = encodeEvents(
      header,
      response.watchId,
      fields,
      0,
      fields.length,
      response.fragment,
    );
    assert.equal(bytesToHex(actual), bytesToHex(encodeWatchResponse(response)));
  }
});

test("responses without events equal those of the generated encoder", () => {
  for (const watchId of ids) {
    for (const [created, canceled] of [
      [true, false],
      [true, true],
      [false, true],
      [false, false],
    ] as const) {
      for (const compactRevision of [0, 5, 2 ** 40]) {
        const response = new WatchResponse();
        response.header = new ResponseHeader();
        response.header.memberId = 3n;
        response.watchId = watchId;
        response.created = created;
        response.canceled = canceled;
        response.compactRevision = compactRevision;
        response.cancelReason = canceled && created ? "mvcc: watcher range is empty" : "";
        const { cancelReason } = response;
        const header = headerField(response.header);
        const actual = encodeControl(header, {
          watchId,
          created,
          canceled,
          compactRevision,
          cancelReason,
        });
        assert.equal(bytesToHex(actual), bytesToHex(encodeWatchResponse(response)));
      }
    }
  }
});
