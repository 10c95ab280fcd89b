// Random and mutated bytes for both sides of HTTP/1.1, in pieces of any size; and random bodies that must
// come out as they went in. The seed is printed with a failure; RPC_FUZZ_SEED repeats it.

import { strict as assert } from "node:assert";
import { test } from "node:test";
import {
  type Bytes,
  concatBytes,
  copyBytes,
  equalBytes,
  keyToBytes,
  SeededRandom,
} from "@etcd-ts/base";
import {
  BodyDecoder,
  ClientConnection,
  defaultLimits,
  encodeChunk,
  Http1Error,
  Http1Server,
  lastChunk,
} from "../../src/http1/index.ts";
import { World } from "../support/world.ts";
import { dialogue, echo } from "./raw.ts";

const seed = Number(process.env["RPC_FUZZ_SEED"] ?? 9112);
const cases = Number(process.env["RPC_FUZZ_CASES"] ?? 600);

function fuzz(name: string, run: (random: SeededRandom) => Promise<void>): void {
  test(`${name} (${cases} cases)`, async () => {
    for (let i = 0; i < cases; i++) {
      const own = seed * 1_000_003 + i;
      try {
        await run(new SeededRandom(own));
      } catch (cause) {
        throw new Error(`seed ${seed}, case ${i}`, { cause });
      }
    }
  });
}

const samples: readonly string[] = [
  "GET /raft/stream/message/1 HTTP/1.1\r\nHost: h\r\nX-Server-From: 1\r\n\r\n",
  "POST /raft HTTP/1.1\r\nHost: h\r\nContent-Length: 5\r\n\r\nhelloGET / HTTP/1.1\r\nHost: h\r\n\r\n",
  "POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n3;a\r\nabc\r\n0\r\nX: y\r\n\r\n",
  "HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nabc",
  "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n",
  "HTTP/1.0 200 OK\r\n\r\nall that comes",
];
const words = [
  "\r\n",
  "\n",
  "\r",
  ":",
  " ",
  "\0",
  "chunked",
  "Content-Length: 1\r\n",
  "Host: h\r\n",
];

function mutated(random: SeededRandom): Bytes {
  if (random.below(10) === 0) return random.bytes(random.below(2000));
  let text = samples[random.below(samples.length)]!;
  for (let i = random.below(5); i > 0; i--) {
    const at = random.below(text.length + 1);
    const kind = random.below(4);
    if (kind === 0) text = text.slice(0, at) + text.slice(at + 1 + random.below(5));
    else if (kind === 1)
      text = text.slice(0, at) + words[random.below(words.length)] + text.slice(at);
    else if (kind === 2) {
      text = text.slice(0, at) + String.fromCharCode(random.below(256)) + text.slice(at + 1);
    } else text = text + samples[random.below(samples.length)]!;
  }
  return keyToBytes(text);
}

fuzz("a server survives any bytes and forgets the connection", async (random) => {
  const world = new World(random.below(1 << 30));
  world.pieceBytesMax = 1 + random.below(60);
  const { near, server, seen } = dialogue(world, (note) =>
    random.below(2) === 0
      ? echo(note)
      : {
          onBody: () => {
            if (random.below(3) === 0) {
              note.exchange.pauseBody();
              note.exchange.resumeBody();
            }
          },
          onBodyEnd: () => {
            note.exchange.start(200);
            note.exchange.write(keyToBytes("part"));
            note.exchange.end();
          },
        },
  );
  near.write(mutated(random));
  await world.settle();
  if (random.below(2) === 0) near.write(mutated(random));
  await world.settle();
  if (random.below(2) === 0) near.end();
  else near.destroy();
  await world.advance(30_000);
  assert.equal(server.connectionCount, 0);
  assert.equal(world.timerCount, 0);
  assert.ok(seen.every((it) => it.closed));
});

fuzz("a client survives any answer and is told once", async (random) => {
  const world = new World(random.below(1 << 30));
  world.pieceBytesMax = 1 + random.below(60);
  const address = { kind: "tcp", host: "h", port: 1 } as const;
  const answer = mutated(random);
  await world.host.net.listen(address, {
    accept: (connection) => {
      connection.write(answer);
      if (random.below(2) === 0) connection.end();
      return { onData() {}, onDrain() {}, onEnd() {}, onClose() {} };
    },
  });
  let doneCount = 0;
  const client = new ClientConnection({
    host: world.host,
    address,
    authority: "h",
    dialTimeoutMs: 1000,
    readIdleMs: 1000,
    writeIdleMs: 1000,
  });
  client.send(
    { method: "GET", target: "/", fields: [] },
    {
      onHead() {},
      onBody() {},
      onDrain() {},
      onDone: () => {
        doneCount++;
      },
    },
  );
  await world.advance(5000);
  client.destroy();
  await world.settle();
  assert.equal(doneCount, 1);
  assert.equal(world.timerCount, 0);
});

fuzz("chunked bodies come out as they went in, however they are cut", async (random) => {
  const parts = Array.from({ length: random.below(6) }, () => random.bytes(1 + random.below(200)));
  const wire = concatBytes([...parts.flatMap(encodeChunk), lastChunk, keyToBytes("rest")]);
  const decoder = new BodyDecoder({ kind: "chunked" }, defaultLimits);
  const out: Bytes[] = [new Uint8Array(0)];
  let at = 0;
  while (!decoder.isDone) {
    const end = Math.min(wire.length, at + 1 + random.below(50));
    const piece = copyBytes(wire.subarray(at, end));
    at += decoder.push(piece, 0, (part) => out.push(part));
  }
  assert.equal(at, wire.length - 4);
  assert.ok(equalBytes(concatBytes(out), concatBytes([new Uint8Array(0), ...parts])));
});

fuzz("a body decoder throws nothing but Http1Error", async (random) => {
  const decoder = new BodyDecoder({ kind: "chunked" }, defaultLimits);
  try {
    for (let i = 0; i < 5 && !decoder.isDone; i++) decoder.push(mutated(random), 0, () => {});
    decoder.end();
  } catch (error) {
    assert.ok(error instanceof Http1Error);
  }
});

test("a stopped server takes no connection any more", async () => {
  const world = new World();
  const server = new Http1Server({
    host: world.host,
    handle: () => {
      throw new Error("not reached");
    },
  });
  server.stop();
  const [near, far] = world.pair();
  far.handler = server.attach(far);
  await world.settle();
  assert.equal(far.closed, true);
  assert.equal(near.closed, true);
  assert.equal(server.connectionCount, 0);
});
