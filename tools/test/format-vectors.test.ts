// Bytes that stock members of etcd are known to write, through the codecs of raft's messages and the log.

import assert from "node:assert/strict";
import { test } from "node:test";
import { type Codec, type Fields, loadCodecs } from "./oracle.ts";

const codecs = await loadCodecs();
const codec = (name: string): Codec => codecs.find((item) => item.model.fullName === name)!;
const hex = (bytes: Uint8Array): string => Buffer.from(bytes).toString("hex");
const unhex = (text: string): Uint8Array => Buffer.from(text, "hex");

function make(name: string, fields: Fields = {}): Fields {
  return Object.assign(codec(name).create(), fields);
}

test("a log begins as every etcd log begins", () => {
  const first = codec("walpb.Record").encode(make("walpb.Record", { type: 4 }));
  assert.equal(hex(first), "08041000");
  const start = codec("walpb.Snapshot").encode(make("walpb.Snapshot"));
  assert.equal(hex(start), "08001000");
});

test("the heartbeat of a link decodes from every version's form", () => {
  const message = codec("raftpb.Message");
  const forms = [
    // 3.4 and 3.5, 3.6, 3.7
    "08081000180020002800300040004a0a12080a0228001000180050005800",
    "0808100018002000280030004000500058006800",
    "0808",
  ];
  for (const form of forms) {
    const decoded = message.decode(unhex(form));
    assert.equal(decoded["type"], 8);
    assert.equal(decoded["to"], 0n);
    assert.equal(decoded["term"], 0);
    const snapshot = decoded["snapshot"] as { metadata: { index: number } } | undefined;
    assert.equal(snapshot?.metadata.index ?? 0, 0);
  }
  const written = message.encode(make("raftpb.Message", { type: 8 }));
  assert.equal(hex(written), "080810001800200028003000400050005800");
});

test("an empty raft snapshot is the one that 3.5 writes", () => {
  assert.equal(
    hex(codec("raftpb.Snapshot").encode(make("raftpb.Snapshot"))),
    "12080a02280010001800",
  );
});

test("entries, states and changes have their zero scalars", () => {
  const bytes = (name: string, fields: Fields = {}): string => {
    return hex(codec(name).encode(make(name, fields)));
  };
  assert.equal(bytes("raftpb.Entry", { term: 2, index: 300 }), "0800100218ac02");
  assert.equal(bytes("raftpb.HardState"), "080010001800");
  assert.equal(bytes("raftpb.ConfState", { voters: [1n, 2n], autoLeave: true }), "080108022801");
  assert.equal(bytes("raftpb.ConfChange", { nodeId: 5n }), "080010001805");
  assert.equal(bytes("raftpb.ConfChangeV2"), "0800");
  assert.equal(bytes("etcdserverpb.Metadata", { nodeId: 1n }), "08011000");
  assert.equal(
    bytes("snappb.snapshot", { crc: 0xffffffff, data: unhex("01") }),
    "08ffffffff0f120101",
  );
});

test("ids of raft use all 64 bits, and voters may come packed", () => {
  const state = codec("raftpb.ConfState");
  const id = 0xffff_ffff_ffff_fffen;
  const bytes = state.encode(make("raftpb.ConfState", { voters: [id] }));
  assert.equal(hex(bytes), "08feffffffffffffffff012800");
  assert.deepEqual(state.decode(bytes)["voters"], [id]);
  assert.deepEqual(state.decode(unhex("0a020102"))["voters"], [1n, 2n]);
});
