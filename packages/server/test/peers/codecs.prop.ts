// Streams of random messages come out as they went in, however they are cut; random bytes end a stream with
// `StreamError` and nothing else. The seed is printed with a failure; PEERS_SEED repeats it.

import { strict as assert } from "node:assert";
import { test } from "node:test";
import { type Bytes, bytesToHex, concatBytes, copyBytes, SeededRandom } from "@etcd-ts/base";
import {
  Entry,
  encodeMessage,
  Message,
  MessageType,
  Snapshot,
  SnapshotMetadata,
} from "@etcd-ts/raft";
import {
  AppendDecoder,
  AppendEncoder,
  type MessageDecoder,
  PlainDecoder,
  PlainEncoder,
  StreamError,
} from "../../src/peers/stream-codecs.ts";
import { writeUint64 } from "../../src/peers/wire-numbers.ts";

const seed = Number(process.env["PEERS_SEED"] ?? 2380);
const cases = Number(process.env["PEERS_CASES"] ?? 300);

function forEachCase(name: string, run: (random: SeededRandom) => void): void {
  test(`${name} (${cases} cases)`, () => {
    for (let i = 0; i < cases; i++) {
      try {
        run(new SeededRandom(seed * 1_000_003 + i));
      } catch (cause) {
        throw new Error(`PEERS_SEED=${seed}, case ${i}`, { cause });
      }
    }
  });
}

function randomBytes(random: SeededRandom, max: number): Bytes {
  return random.bytes(random.below(max));
}

function entriesFrom(random: SeededRandom, index: number, term: number): Entry[] {
  return Array.from({ length: random.below(4) }, (_, i) => {
    const entry = new Entry();
    entry.index = index + i + 1;
    entry.term = term;
    entry.type = random.below(2);
    entry.data = randomBytes(random, 300);
    return entry;
  });
}

function randomMessage(random: SeededRandom): Message {
  const message = new Message();
  message.type = random.below(19);
  message.to = BigInt(1 + random.below(2 ** 31)) << 32n;
  message.from = BigInt(1 + random.below(5));
  message.term = random.below(1000);
  message.logTerm = random.below(1000);
  message.index = random.below(2 ** 31) * 1000;
  message.commit = random.below(1000);
  message.reject = random.below(2) === 0;
  message.rejectHint = random.below(100);
  message.context = randomBytes(random, 20);
  message.entries = entriesFrom(random, message.index, message.term);
  if (random.below(3) === 0) {
    message.snapshot = new Snapshot();
    message.snapshot.data = randomBytes(random, 50);
    message.snapshot.metadata = new SnapshotMetadata();
    message.snapshot.metadata.index = random.below(1000);
  }
  return message;
}

/** Appends as a leader sends them: mostly one behind the other, sometimes from elsewhere. */
function appends(random: SeededRandom): Message[] {
  const messages: Message[] = [];
  let term = 1 + random.below(5);
  let index = random.below(50);
  let logTerm = term;
  for (let i = random.below(12); i >= 0; i--) {
    if (random.below(5) === 0) {
      term += random.below(3);
      index = random.below(50);
      logTerm = 1 + random.below(term);
    }
    const message = new Message();
    message.type = MessageType.MsgApp;
    message.from = 1n;
    message.to = 2n;
    message.term = term;
    message.logTerm = logTerm;
    message.index = index;
    message.commit = random.below(100);
    message.entries = entriesFrom(random, index, term);
    messages.push(message);
    if (message.entries.length > 0) logTerm = term;
    index += message.entries.length;
  }
  return messages;
}

function feed(random: SeededRandom, decoder: MessageDecoder, wire: Bytes): Message[] {
  const out: Message[] = [];
  const pieceMax = 1 + random.below(random.below(2) === 0 ? 10 : 400);
  for (let at = 0; at < wire.length; ) {
    const end = Math.min(wire.length, at + 1 + random.below(pieceMax));
    decoder.push(copyBytes(wire.subarray(at, end)), (message) => out.push(message));
    at = end;
  }
  return out;
}

/** Messages as text: one array of bytes may be a Buffer where the other is none. */
function texts(messages: readonly Message[]): string[] {
  return messages.map((message) => bytesToHex(encodeMessage(message)));
}

forEachCase("message streams", (random) => {
  const encoder = new PlainEncoder();
  const messages = Array.from({ length: random.below(8) }, () => randomMessage(random));
  const frames = messages.flatMap((message) =>
    random.below(3) === 0
      ? [encoder.heartbeat, encoder.encode(message)]
      : [encoder.encode(message)],
  );
  const wire = concatBytes([new Uint8Array(0), ...frames]);
  assert.deepEqual(texts(feed(random, new PlainDecoder(), wire)), texts(messages));
});

let bareCount = 0;
let wholeCount = 0;

forEachCase("append streams", (random) => {
  const encoder = new AppendEncoder();
  const messages = appends(random);
  const frames = messages.map((message) => encoder.encode(message));
  for (const frame of frames) {
    if (frame[0] === 1) bareCount++;
    else wholeCount++;
  }
  const wire = concatBytes([new Uint8Array(0), ...frames]);
  assert.deepEqual(texts(feed(random, new AppendDecoder(1n, 2n), wire)), texts(messages));
});

test("both forms of an append were seen", () => {
  assert.ok(bareCount > cases && wholeCount > cases, `${bareCount} bare, ${wholeCount} whole`);
});

forEachCase("any bytes at all", (random) => {
  const encoder = new AppendEncoder();
  const decoder = random.below(2) === 0 ? new PlainDecoder() : new AppendDecoder(1n, 2n);
  const wire = concatBytes([new Uint8Array(0), ...appends(random).map((m) => encoder.encode(m))]);
  const broken = copyBytes(wire);
  for (let i = random.below(6); i > 0 && broken.length > 0; i--) {
    broken[random.below(broken.length)] = random.below(256);
  }
  if (random.below(3) === 0 && broken.length >= 8) writeUint64(broken, 0, random.below(3));
  try {
    feed(random, decoder, broken);
  } catch (error) {
    assert.ok(error instanceof StreamError, String(error));
  }
});
