// Random and mutated bytes for every parser of the package. What must hold: no exception, no hang, bounded
// memory, and books that balance (no stream, no buffered byte is left when the connection is gone). The
// seed is printed with a failure; RPC_FUZZ_SEED repeats it, RPC_FUZZ_CASES asks for more.

import { strict as assert } from "node:assert";
import { test } from "node:test";
import { type Bytes, concatBytes, SeededRandom, utf8ToBytes } from "@etcd-ts/base";
import { clientPreface, Flag, FrameType } from "../src/frames.ts";
import { parseGrpcTimeout } from "../src/grpc-timeout.ts";
import type { HeaderField } from "../src/header-field.ts";
import { HpackDecoder } from "../src/hpack-decoder.ts";
import { HpackEncoder } from "../src/hpack-encoder.ts";
import { huffmanDecode } from "../src/huffman.ts";
import { Channel, decodeGrpcMessage, encodeGrpcMessage, RpcServer } from "../src/index.ts";
import {
  data,
  frame,
  goaway,
  headers,
  message,
  ping,
  RawPeer,
  requestFields,
  rstStream,
  settings,
  settingsAck,
  windowUpdate,
} from "./support/raw-peer.ts";
import { testServices } from "./support/services.ts";
import { World } from "./support/world.ts";

const seed = Number(process.env["RPC_FUZZ_SEED"] ?? 9113);
const cases = Number(process.env["RPC_FUZZ_CASES"] ?? 600);

function fuzz(
  name: string,
  count: number,
  run: (random: SeededRandom) => void | Promise<void>,
): void {
  test(`${name} (${count} cases)`, async () => {
    for (let i = 0; i < count; i++) {
      try {
        await run(new SeededRandom(seed + i));
      } catch (error) {
        throw new Error(`RPC_FUZZ_SEED=${seed + i} fails: ${name}`, { cause: error });
      }
    }
  });
}

/** Flips, overwrites, cuts, doubles or inserts a few bytes. */
function mutate(random: SeededRandom, bytes: Bytes): Bytes {
  let out: Bytes = bytes.slice();
  for (let count = 1 + random.below(4); count > 0 && out.length > 0; count--) {
    const at = random.below(out.length);
    switch (random.below(6)) {
      case 0:
        out[at]! ^= 1 << random.below(8);
        break;
      case 1:
        out[at] = random.pick([0, 1, 0x7f, 0x80, 0xff]);
        break;
      case 2:
        out = out.slice(0, at);
        break;
      case 3:
        out = concatBytes([out.slice(0, at), out.slice(at + random.below(20))]);
        break;
      case 4:
        out = concatBytes([out.slice(0, at), random.bytes(random.below(20)), out.slice(at)]);
        break;
      default: {
        const piece = out.slice(at, at + random.below(60));
        out = concatBytes([out.slice(0, at), piece, out.slice(at)]);
      }
    }
  }
  return out;
}

fuzz("HPACK: random and mutated blocks", cases * 4, (random) => {
  const decoder = new HpackDecoder();
  const encoder = new HpackEncoder();
  for (let round = 0; round < 4; round++) {
    const valid = new Uint8Array(600);
    let length = encoder.writeUpdates(valid, 0);
    for (let i = random.below(8); i > 0; i--) {
      const name = random.pick(["a", ":path", "content-type", "x-y"]);
      length = encoder.writeField(valid, length, name, `v${random.below(5)}`);
    }
    const block = random.chance(1, 3)
      ? random.bytes(random.below(100))
      : mutate(random, valid.slice(0, length));
    const fields: HeaderField[] = [];
    const outcome = decoder.decode(block, 0, block.length, 5000, fields);
    assert.ok(fields.reduce((sum, field) => sum + field.size, 0) <= 5000);
    assert.ok(decoder.tableBytes <= 4096);
    if (outcome === "invalid") return;
  }
});

fuzz("Huffman code, timeouts and percent-encoding", cases * 4, (random) => {
  const bytes = random.bytes(random.below(50));
  const text = huffmanDecode(bytes, 0, bytes.length);
  assert.ok(text === undefined || text.length <= bytes.length * 1.6);
  const latin1 = String.fromCharCode(...bytes);
  const timeout = parseGrpcTimeout(latin1.slice(0, 10));
  assert.ok(typeof timeout === "string" || timeout >= 0);
  decodeGrpcMessage(latin1);
  assert.equal(decodeGrpcMessage(encodeGrpcMessage(latin1)), latin1);
});

const paths = ["Echo", "Fail", "Hold", "Stream", "Bidi", "Sum", "Flood", "Nope"];

/** A conversation that makes sense, as frames. */
function validFrames(random: SeededRandom): Bytes[] {
  const frames: Bytes[] = [];
  const open: number[] = [];
  let next = 1;
  for (let steps = 2 + random.below(20); steps > 0; steps--) {
    const id = open.length > 0 ? random.pick(open) : 1;
    switch (random.below(9)) {
      case 0:
      case 1:
      case 2: {
        const timeout: [string, string][] = random.chance(1, 3)
          ? [["grpc-timeout", `${random.below(50)}m`]]
          : [];
        frames.push(headers(next, requestFields(`/test.Echo/${random.pick(paths)}`, ...timeout)));
        open.push(next);
        next += 2;
        break;
      }
      case 3:
      case 4:
      case 5: {
        const body = random.chance(1, 4) ? "3 1000" : "x".repeat(random.below(2000));
        frames.push(data(id, message(body), random.chance(1, 2) ? Flag.endStream : 0));
        break;
      }
      case 6:
        frames.push(rstStream(id, random.below(14)));
        break;
      case 7:
        frames.push(windowUpdate(random.chance(1, 2) ? 0 : id, 1 + random.below(100_000)));
        break;
      default:
        frames.push(
          random.pick([ping(), settings([4, random.below(100_000)]), settingsAck, goaway(0, 0)]),
        );
    }
  }
  return frames;
}

function randomFrame(random: SeededRandom): Bytes {
  const flags = random.pick([0, 1, 4, 5, 8, 0x20, random.below(256)]);
  const id = random.pick([0, 1, 3, random.below(20), 0x7fffffff]);
  return frame(random.below(11), flags, id, random.bytes(random.below(40)));
}

async function assertServerSurvives(random: SeededRandom, bytes: Bytes): Promise<void> {
  const world = new World(random.next32());
  world.pieceBytesMax = random.pick([1, 7, 100, 65_536]);
  const services = testServices();
  const server = new RpcServer({
    host: world.host,
    methods: services.methods,
    limits: { receiveBytesMax: 10_000, headerListBytesMax: 10_000 },
    onHttp1: (connection) => connection.destroy(),
    onHandlerError: () => {},
  });
  const [near, far] = world.pair();
  far.handler = server.attach(far);
  const peer = new RawPeer(world, near);
  peer.io.write(bytes);
  await world.settle();
  for (const call of services.held) if (random.chance(1, 2)) call.respond(new Uint8Array(100));
  for (const { call } of services.streams) if (random.chance(1, 2)) call.finish();
  await world.advance(100);
  near.destroy();
  await world.settle();
  const closing = server.close({ graceMs: 0 });
  await world.advance(3000);
  await closing;
  assert.equal(server.counters.streamsOpen, 0);
  assert.equal(server.counters.connectionsOpen, 0);
  assert.equal(world.timerCount, 0);
  for (const call of services.held) assert.ok(call.ended);
  for (const { call } of services.streams) assert.ok(call.ended);
}

const preface = utf8ToBytes(clientPreface);

fuzz("server: mutated conversations", cases, async (random) => {
  const whole = concatBytes([preface, settings(), ...validFrames(random)]);
  await assertServerSurvives(random, random.chance(1, 10) ? whole : mutate(random, whole));
});

fuzz("server: random frames between valid ones", cases, async (random) => {
  const frames = validFrames(random);
  for (let i = random.below(5); i >= 0; i--) {
    frames.splice(random.below(frames.length + 1), 0, randomFrame(random));
  }
  await assertServerSurvives(random, concatBytes([preface, settings(), ...frames]));
});

fuzz("server: random bytes", cases, async (random) => {
  const noise = random.bytes(random.below(300));
  const first = random.pick([new Uint8Array(0), preface, concatBytes([preface, settings()])]);
  await assertServerSurvives(random, concatBytes([first, noise]));
});

fuzz("client: mutated answers and random frames", cases, async (random) => {
  const world = new World(random.next32());
  world.pieceBytesMax = random.pick([1, 7, 100, 65_536]);
  const address = { kind: "tcp", host: "server", port: 1 } as const;
  let peer: RawPeer | undefined;
  await world.host.net.listen(address, {
    accept: (connection) => {
      peer ??= new RawPeer(world, connection as never);
      return { onData() {}, onDrain() {}, onEnd() {}, onClose() {} };
    },
  });
  const channel = new Channel({ host: world.host, address, receiveBytesMax: 10_000 });
  let ended = 0;
  const handler = {
    onResult: () => {
      ended++;
    },
  };
  for (let i = 0; i < 4; i++) {
    channel.startUnary("/test.Echo/Echo", new Uint8Array(10), { timeoutMs: 1000 }, handler);
  }
  const stream = channel.stream(
    "/test.Echo/Bidi",
    { timeoutMs: 1000 },
    { onMessage: () => stream.send(new Uint8Array(5)), onEnd: handler.onResult },
  );
  await world.settle();
  const frames: Bytes[] = [settings()];
  for (const id of [1, 3, 5, 7, 9]) {
    frames.push(
      headers(id, [
        [":status", "200"],
        ["content-type", "application/grpc"],
      ]),
      data(id, message("answer")),
      headers(id, [["grpc-status", String(random.below(18))]], Flag.endHeaders | Flag.endStream),
    );
  }
  if (random.chance(1, 2)) frames.splice(random.below(frames.length), 0, randomFrame(random));
  const whole = concatBytes(frames);
  peer!.io.write(random.chance(1, 10) ? whole : mutate(random, whole));
  await world.advance(100);
  peer!.io.destroy();
  await world.advance(2000);
  channel.close();
  await world.advance(2000);
  assert.equal(ended, 5, "every call ends exactly once");
  assert.equal(channel.counters.streamsOpen, 0);
  assert.equal(world.timerCount, 0);
});

test("frames of every type and length up to 40 bytes, alone, with every flag", () => {
  const world = new World();
  const services = testServices();
  for (let type = 0; type <= FrameType.continuation + 1; type++) {
    for (let length = 0; length <= 40; length += 1 + (length >> 2)) {
      for (const flags of [0, 1, 4, 5, 8, 0x0c, 0x2c]) {
        const server = new RpcServer({ host: world.host, methods: services.methods });
        const peer = RawPeer.connect(world, server);
        peer.send(headers(1, requestFields("/test.Echo/Stream")));
        for (const id of [0, 1, 3]) {
          peer.send(frame(type, flags, id, new Uint8Array(length).fill(length)));
        }
        peer.io.destroy();
        world.run();
        assert.equal(server.counters.streamsOpen, 0);
      }
    }
  }
});
