// grpc-go as a client, in the shape of stock etcdctl. It measures its path while it receives: a ping for each
// DATA frame, one at a time. Long answers must not make that look like an attack ("too_many_pings").

import { strict as assert } from "node:assert";
import { spawn } from "node:child_process";
import { accessSync, constants, realpathSync } from "node:fs";
import { delimiter, join } from "node:path";
import { test } from "node:test";
import { type Bytes, concatBytes, utf8ToBytes } from "@etcd-ts/base";
import { RpcServer } from "../src/index.ts";
import { nodeHost } from "./support/node-host.ts";

/** Stock etcdctl on PATH and in the folders of ETCD_TS_STOCK_DIRS, one of each. */
function stockTools(): string[] {
  const folders = [
    ...(process.env["ETCD_TS_STOCK_DIRS"] ?? "").split(delimiter),
    ...(process.env["PATH"] ?? "").split(delimiter),
  ].filter((folder) => folder !== "");
  const found = folders.map((folder) => join(folder, "etcdctl")).filter(isExecutable);
  return [...new Set(found.map((path) => realpathSync(path)))];
}

function isExecutable(path: string): boolean {
  try {
    accessSync(path, constants.X_OK);
    return true;
  } catch {
    return false;
  }
}

function field(number: number, bytes: Bytes): Bytes {
  const head = [(number << 3) | 2];
  let length = bytes.length;
  for (; length > 127; length >>>= 7) head.push((length & 127) | 128);
  return concatBytes([new Uint8Array([...head, length]), bytes]);
}

/** A KeyValue {1 key, 5 value}. */
const keyValue = (key: string, value: Bytes): Bytes =>
  concatBytes([field(1, utf8ToBytes(key)), field(5, value)]);

const valueBytes = 1_000_000;
/** A ResponseHeader {3 revision} as field 1. */
const header = field(1, new Uint8Array([0x18, 2]));

interface Output {
  readonly code: number | null;
  readonly bytes: number;
  readonly errors: string;
}

function run(program: string, args: readonly string[], enough: number): Promise<Output> {
  return new Promise((resolve, reject) => {
    const child = spawn(program, args, { env: { ...process.env, ETCDCTL_API: "3" } });
    let bytes = 0;
    let errors = "";
    child.stdout.on("data", (chunk: Buffer) => {
      bytes += chunk.length;
      if (bytes >= enough) child.kill("SIGTERM");
    });
    child.stderr.on("data", (chunk: Buffer) => {
      errors += chunk.toString();
    });
    child.on("error", reject);
    child.on("close", (code) => resolve({ code, bytes, errors }));
  });
}

const tools = stockTools();
if (tools.length === 0) {
  const skip = "no etcdctl on PATH or in ETCD_TS_STOCK_DIRS (Debian: etcd-client)";
  test("grpc-go reads long answers", { skip }, () => {});
}

for (const tool of tools) {
  test(`grpc-go (${tool}) reads long answers and long streams`, async () => {
    const value = new Uint8Array(valueBytes).fill(0x61);
    const server = new RpcServer({
      host: nodeHost(),
      methods: {
        // RangeResponse {2 kvs, 4 count}: 30 MB in one message.
        "/etcdserverpb.KV/Range": {
          kind: "unary",
          handle: (call) => {
            const kvs = Array.from({ length: 30 }, (_, i) => field(2, keyValue(`k${i}`, value)));
            call.respond(concatBytes([...kvs, new Uint8Array([0x20, 30])]));
          },
        },
        // WatchResponse {1 header, 3 created, 11 events {2 kv}}: 30 messages of 1 MB, as fast as they are taken.
        "/etcdserverpb.Watch/Watch": {
          kind: "stream",
          type: "bidi_stream",
          open: (call) => {
            let left = 30;
            const sendMore = (): void => {
              while (left > 0) {
                left--;
                const event = field(11, field(2, keyValue("k", value)));
                if (!call.send(concatBytes([header, event]))) return;
              }
            };
            return {
              onMessage: () => {
                call.send(concatBytes([header, new Uint8Array([0x18, 1])]));
                sendMore();
              },
              onHalfClose: () => {},
              onCancel: () => {},
              onDrain: sendMore,
            };
          },
        },
      },
    });
    const { address } = await server.serve({ kind: "tcp", host: "127.0.0.1", port: 0 });
    const endpoint = `127.0.0.1:${(address as { port: number }).port}`;
    try {
      const base = ["--endpoints", endpoint];
      const get = await run(tool, [...base, "get", "--prefix", "k"], Number.POSITIVE_INFINITY);
      assert.equal(get.errors.slice(0, 400), "");
      assert.equal(get.code, 0);
      assert.ok(get.bytes > 30 * valueBytes);
      const watched = 30 * valueBytes;
      const watch = await run(tool, [...base, "watch", "k"], watched);
      assert.ok(watch.bytes >= watched, `${watch.bytes} bytes: ${watch.errors.slice(0, 400)}`);
      assert.ok(server.counters.pingsReceived > 2, "it has measured its path");
      assert.equal(server.counters.connectionErrors, 0);
      assert.equal(server.counters.goawaysSent, 0);
    } finally {
      await server.close({ graceMs: 0 });
    }
  });
}
