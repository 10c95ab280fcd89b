// Watch: who wants to know of a key, and telling them.

import { Event, encodeWatchResponse, KeyValue, ResponseHeader, WatchResponse } from "@etcd-ts/api";
import { type Bytes, bytesToKey, SeededRandom } from "@etcd-ts/base";
import { keyOf } from "../load/requests.ts";
import { internal, mustEqual, mustEqualBytes } from "./internals.ts";
import type { MicroBenchmark } from "./micro-benchmark.ts";
import { repeat } from "./rpc.ts";

type Encoding = typeof import("../../../packages/server/src/watch/encoding.ts");
type InterestsModule = typeof import("../../../packages/server/src/watch/interests.ts");
type Machine = typeof import("../../../packages/machine/src/index.ts");
type Interest = import("../../../packages/server/src/watch/interests.ts").Interest;

export const watchFanOut: MicroBenchmark = {
  name: "watch-fanout",
  title: "encode one event for 1,000 watchers",
  async prepare() {
    const { encodeEventField, encodeEvents } = await internal<Encoding>(
      "server/dist/src/watch/encoding.js",
    );
    const { encodeKeyValue, HeaderEncoder } = await internal<Machine>("machine/dist/src/index.js");
    const watchers = 1000;
    const clusterId = 0xcdf818194e3a8c32n;
    const memberId = 0x8e9e05c52164694dn;
    const revision = 1_234_567;
    const key = keyOf(1);
    const value = new SeededRandom(5).bytes(256);
    const kv = encodeKeyValue(bytesToKey(key), 1000, revision, 77, value, 0n);
    const headers = new HeaderEncoder(clusterId, memberId);
    const header = new Uint8Array(headers.size(revision, 2));
    headers.write(header, 0, revision, 2);
    const shared = (visit: (bytes: Bytes) => void): void => {
      const events = [encodeEventField(false, kv, undefined)];
      for (let id = 0; id < watchers; id++) {
        visit(encodeEvents(header, BigInt(id), events, 0, 1, false));
      }
    };
    const event = new Event();
    event.kv = new KeyValue();
    event.kv.key = key;
    event.kv.createRevision = 1000;
    event.kv.modRevision = revision;
    event.kv.version = 77;
    event.kv.value = value;
    const response = new WatchResponse();
    response.header = new ResponseHeader();
    response.header.clusterId = clusterId;
    response.header.memberId = memberId;
    response.header.revision = revision;
    response.header.raftTerm = 2;
    response.events.push(event);
    const each = (visit: (bytes: Bytes) => void): void => {
      for (let id = 0; id < watchers; id++) {
        response.watchId = BigInt(id) as typeof response.watchId;
        visit(encodeWatchResponse(response));
      }
    };
    const total = (tell: (visit: (bytes: Bytes) => void) => void): number => {
      let bytes = 0;
      tell((it) => {
        bytes += it.length;
      });
      return bytes;
    };
    return {
      unit: "event to 1,000",
      fast: { run: (count) => repeat(count, () => total(shared)) },
      plain: { what: "encoding each anew", run: (count) => repeat(count, () => total(each)) },
      check() {
        const plain: Bytes[] = [];
        each((bytes) => plain.push(bytes));
        let at = 0;
        shared((bytes) => mustEqualBytes(bytes, plain[at++] as Bytes, "response"));
        mustEqual(at, watchers, "responses");
      },
    };
  },
};

export const watchMatch: MicroBenchmark = {
  name: "watch-match",
  title: "who of 10,000 watchers, half of ranges, wants to know of a key",
  async prepare() {
    const { Interests } = await internal<InterestsModule>("server/dist/src/watch/interests.js");
    const interests = new Interests<Interest>();
    const all: Interest[] = [];
    for (let n = 0; n < 10_000; n++) {
      const key = bytesToKey(keyOf(n * 10));
      const end = n % 2 === 0 ? undefined : bytesToKey(keyOf(n * 10 + 25));
      all.push({ key, end });
    }
    for (const interest of all) interests.add(interest);
    const random = new SeededRandom(2);
    const keys = Array.from({ length: 1024 }, () => bytesToKey(keyOf(random.below(100_000))));
    let next = 0;
    const key = (): string => keys[next++ & 1023] as string;
    const match = (): number => {
      let found = 0;
      interests.match(key(), () => {
        found += 1;
      });
      return found;
    };
    const goThrough = (): number => {
      const wanted = key();
      let found = 0;
      for (const { key: from, end } of all) {
        if (end === undefined ? from === wanted : from <= wanted && wanted < end) found += 1;
      }
      return found;
    };
    return {
      unit: "key",
      fast: { run: (count) => repeat(count, match) },
      plain: { what: "asking every watcher", run: (count) => repeat(count, goThrough) },
      check() {
        let total = 0;
        for (let n = 0; n < 100; n++) {
          next = n;
          const found = match();
          next = n;
          mustEqual(found, goThrough(), "watchers");
          total += found;
        }
        if (total === 0) throw new Error("no key was watched: nothing was compared");
      },
    };
  },
};
