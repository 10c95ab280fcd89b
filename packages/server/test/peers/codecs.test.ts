import { strict as assert } from "node:assert";
import { test } from "node:test";
import { bytesToHex, hexToBytes } from "@etcd-ts/base";
import { Entry, encodeEntry, encodeMessage, Message, MessageType } from "@etcd-ts/raft";
import {
  AppendDecoder,
  AppendEncoder,
  type MessageDecoder,
  PlainDecoder,
  PlainEncoder,
  StreamError,
} from "../../src/peers/stream-codecs.ts";
import { readUint64, writeUint64 } from "../../src/peers/wire-numbers.ts";

function decodeAll(decoder: MessageDecoder, hex: string): Message[] {
  const messages: Message[] = [];
  decoder.push(hexToBytes(hex.replaceAll(" ", "")), (message) => messages.push(message));
  return messages;
}

function entry(index: number, term: number, data: string): Entry {
  const made = new Entry();
  made.index = index;
  made.term = term;
  made.data = hexToBytes(data);
  return made;
}

function append(
  index: number,
  logTerm: number,
  term: number,
  entries: Entry[],
  commit = 0,
): Message {
  const message = new Message();
  message.type = MessageType.MsgApp;
  message.from = 1n;
  message.to = 2n;
  message.term = term;
  message.logTerm = logTerm;
  message.index = index;
  message.entries = entries;
  message.commit = commit;
  return message;
}

test("link heartbeats of all releases are dropped", () => {
  const decoder = new PlainDecoder();
  const frames = [
    "000000000000001e 08081000180020002800300040004a0a12080a0228001000180050005800", // 3.4, 3.5
    "0000000000000014 08081000180020002800300040005000580068 00", // 3.6
    "0000000000000002 0808", // 3.7
  ];
  assert.deepEqual(decodeAll(decoder, frames.join("")), []);
  // And the stream goes on behind them.
  assert.equal(decodeAll(decoder, "0000000000000006 080910021801").length, 1);
});

test("our link heartbeats are the shortest form", () => {
  assert.equal(bytesToHex(new PlainEncoder().heartbeat), "00000000000000020808");
  assert.equal(bytesToHex(new AppendEncoder().heartbeat), "00");
});

test("a message stream frame is a length and a message", () => {
  const message = new Message();
  message.type = MessageType.MsgVote;
  message.to = 0x8e9e05c52164694dn;
  message.from = 2n;
  message.term = 7;
  const frame = bytesToHex(new PlainEncoder().encode(message));
  const body = bytesToHex(encodeMessage(message));
  assert.equal(frame, `00000000000000${(body.length / 2).toString(16).padStart(2, "0")}${body}`);
  assert.deepEqual(decodeAll(new PlainDecoder(), frame), [message]);
});

test("an append stream switches to bare entries where they go on", () => {
  const encoder = new AppendEncoder();
  const first = append(4, 2, 3, [entry(5, 3, "aa")], 4);
  const whole = bytesToHex(encodeMessage(first));
  const size = (whole.length / 2).toString(16).padStart(16, "0");
  assert.equal(bytesToHex(encoder.encode(first)), `02${size}${whole}`);
  const e6 = bytesToHex(encodeEntry(entry(6, 3, "bb")));
  const e7 = bytesToHex(encodeEntry(entry(7, 3, "")));
  const sized = (hex: string) => (hex.length / 2).toString(16).padStart(16, "0") + hex;
  assert.equal(
    bytesToHex(encoder.encode(append(5, 3, 3, [entry(6, 3, "bb"), entry(7, 3, "")], 6))),
    `010000000000000002${sized(e6)}${sized(e7)}0000000000000006`,
  );
  assert.equal(
    bytesToHex(encoder.encode(append(7, 3, 3, [], 7))),
    "0100000000000000000000000000000007",
  );
  // Another term, or another place: whole messages again.
  assert.match(bytesToHex(encoder.encode(append(7, 3, 4, [], 7))), /^02/);
  assert.match(bytesToHex(encoder.encode(append(3, 3, 4, [], 7))), /^02/);
});

test("bare entries become an append from the member at the other end", () => {
  const encoder = new AppendEncoder();
  const decoder = new AppendDecoder(1n, 2n);
  const sent = [
    append(4, 2, 3, [entry(5, 3, "aa")], 4),
    append(5, 3, 3, [entry(6, 3, "bb")], 5),
    append(6, 3, 3, [], 6),
    append(2, 1, 3, [], 6),
  ];
  const hex = sent.map((message) => bytesToHex(encoder.encode(message)));
  assert.equal(hex[1]!.slice(0, 2), "01");
  assert.deepEqual(decodeAll(decoder, hex.join("00")), sent);
});

test("frames of a stock 3.5 member are understood", () => {
  const decoder = new AppendDecoder(1n, 2n);
  const empty = "080310eaabb889f99fedd24718a6a4feadbbac8899722002280130023a06080010021803400";
  const heartbeat = "00";
  const frame =
    `02 0000000000000036 ${empty}24a0a12080a0228001000180050005800` +
    "01 0000000000000000 0000000000000003";
  const [first, second] = decodeAll(decoder, heartbeat + frame);
  assert.deepEqual(
    [first!.type, first!.to, first!.term, first!.logTerm, first!.index, first!.commit],
    [MessageType.MsgApp, 0x47a5b4ff91_2e15ean, 2, 1, 2, 2],
  );
  assert.deepEqual([first!.entries.length, first!.entries[0]!.index], [1, 3]);
  assert.deepEqual([second!.index, second!.logTerm, second!.term, second!.commit], [3, 2, 2, 3]);
});

test("what no member sends ends the stream", () => {
  const decoders = () => [new PlainDecoder(), new AppendDecoder(1n, 2n)] as const;
  for (const [hex, decoder, why] of [
    ["0000000020000001", decoders()[0], "a frame above 512 MiB"],
    ["ffffffffffffffff", decoders()[0], "a length of 64 bits"],
    ["0000000000000001 ff", decoders()[0], "no message"],
    ["03", decoders()[1], "an unknown type"],
    ["ff", decoders()[1], "an unknown type"],
    ["01 ffffffffffffffff", decoders()[1], "a count of 64 bits"],
    ["01 0000000010000000", decoders()[1], "a count that cannot fit"],
    ["01 0000000000000001 0000000020000001", decoders()[1], "a large entry"],
    ["01 0000000000000001 0000000000000001 ff", decoders()[1], "no entry"],
    ["01 0000000000000000 ffffffffffffffff", decoders()[1], "a commit of 64 bits"],
    ["02 0000000020000001", decoders()[1], "a large message"],
    ["02 0000000000000001 ff", decoders()[1], "no message"],
    // Entry 9 where 1 is due.
    ["01 0000000000000001 0000000000000006 080010011809", decoders()[1], "a hole"],
  ] as const) {
    assert.throws(() => decodeAll(decoder, hex), StreamError, why);
  }
});

test("64-bit numbers keep what a double can hold", () => {
  const bytes = new Uint8Array(10);
  for (const value of [
    0,
    1,
    255,
    2 ** 31,
    2 ** 32 - 1,
    2 ** 32,
    2 ** 48 + 5,
    Number.MAX_SAFE_INTEGER,
  ]) {
    assert.equal(writeUint64(bytes, 1, value), 9);
    assert.equal(readUint64(bytes, 1), value);
  }
  assert.equal(readUint64(hexToBytes("0020000000000000"), 0), Number.POSITIVE_INFINITY);
});
