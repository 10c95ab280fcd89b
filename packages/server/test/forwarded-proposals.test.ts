import assert from "node:assert/strict";
import { test } from "node:test";
import {
  AuthEnableRequest,
  AuthUserAddRequest,
  AuthUserListRequest,
  encodeInternalRaftRequest,
  encodeV2Request,
  InternalRaftRequest,
  PutRequest,
  RequestHeader,
  V2Request,
} from "@etcd-ts/api";
import { type Bytes, emptyBytes, utf8ToBytes } from "@etcd-ts/base";
import { encodeMemberContext, encodePromoteContext } from "@etcd-ts/machine";
import {
  ConfChange,
  ConfChangeType,
  ConfChangeV2,
  Entry,
  EntryType,
  encodeConfChange,
  encodeConfChangeV2,
  Message,
  MessageType,
} from "@etcd-ts/raft";
import { ForwardedProposals } from "../src/forwarded-proposals.ts";

/** Whether an entry with these bytes goes on to raft. */
function passes(data: Bytes, type: number = EntryType.EntryNormal): boolean {
  const message = new Message();
  message.type = MessageType.MsgProp;
  message.from = 2n;
  message.entries = [new Entry()];
  message.entries[0]!.type = type;
  message.entries[0]!.data = data;
  const forwarded = new ForwardedProposals();
  const refusedCount = forwarded.add(message, 0);
  assert.equal(forwarded.pending?.entries.length ?? 0, 1 - refusedCount);
  return refusedCount === 0;
}

function requestWith(fill: (request: InternalRaftRequest) => void): Bytes {
  const request = new InternalRaftRequest();
  request.header = new RequestHeader();
  request.header.id = 5n;
  fill(request);
  return encodeInternalRaftRequest(request);
}

function change(type: number, nodeId: bigint, context: Bytes): Bytes {
  const confChange = new ConfChange();
  confChange.type = type;
  confChange.nodeId = nodeId;
  confChange.context = context;
  return encodeConfChange(confChange);
}

test("what members ask for goes on to raft", () => {
  const put = requestWith((request) => {
    request.put = new PutRequest();
  });
  assert.ok(passes(put));
  const published = new V2Request();
  published.id = 7n;
  published.method = "PUT";
  published.path = "/0/version";
  published.val = "3.5.0";
  assert.ok(passes(encodeV2Request(published)));
});

test("what is no request, and would end every member that applies it, is left out", () => {
  for (const data of [
    emptyBytes,
    Uint8Array.of(0xff),
    utf8ToBytes("no request"),
    requestWith(() => {}),
    Uint8Array.of(0x20, 1), // a number where a put belongs
    Uint8Array.of(0x22, 5, 0), // cut short
  ]) {
    assert.equal(passes(data), false, Buffer.from(data).toString("hex"));
  }
});

test("what changes authentication is left out: all of ours would end, the others go on with it", () => {
  assert.equal(
    passes(
      requestWith((request) => {
        request.authEnable = new AuthEnableRequest();
      }),
    ),
    false,
  );
  assert.equal(
    passes(
      requestWith((request) => {
        request.authUserAdd = new AuthUserAddRequest();
      }),
    ),
    false,
  );
  const list = requestWith((request) => {
    request.authUserList = new AuthUserListRequest();
  });
  assert.ok(passes(list), "a question changes nothing");
});

test("changes of the membership name their member as its JSON does", () => {
  const { EntryConfChange, EntryConfChangeV2 } = EntryType;
  const { AddNode, RemoveNode, UpdateNode, AddLearnerNode } = ConfChangeType;
  const id = 0x8e9e_05c5_2164_694dn;
  const member = {
    id,
    peerUrls: ["http://n1:2380"],
    isLearner: false,
    name: "",
    clientUrls: [],
  };
  const context = encodeMemberContext(member);
  const learner = encodeMemberContext({ ...member, isLearner: true });
  for (const [type, own, other] of [
    [AddNode, context, learner],
    [UpdateNode, context, undefined],
    [UpdateNode, learner, undefined],
    [AddLearnerNode, learner, context],
  ] as const) {
    assert.ok(passes(change(type, id, own), EntryConfChange));
    assert.equal(passes(change(type, id - 1n, own), EntryConfChange), false);
    if (other === undefined) continue;
    assert.equal(passes(change(type, id, other), EntryConfChange), false, "another role");
  }
  assert.ok(passes(change(AddNode, id, encodePromoteContext(id)), EntryConfChange));
  assert.ok(passes(change(RemoveNode, id, emptyBytes), EntryConfChange));
  for (const text of [
    "",
    "{",
    "[]",
    `{"id":"${id}"}`,
    `{"id":${id},"peerURLs":5}`,
    `{"id":${id},"peerURLs":[]}`,
    `{"id":${id},"peerURLs":["n1:2380"]}`,
    // The outer one is the member.
    `{"x":{"id":${id}},"id":6,"peerURLs":[]}`,
  ]) {
    assert.equal(passes(change(AddNode, id, utf8ToBytes(text)), EntryConfChange), false, text);
  }
  assert.equal(passes(change(4, id, context), EntryConfChange), false, "a type that is none");
  const nobody = encodeMemberContext({ ...member, id: 0n });
  assert.equal(passes(change(AddNode, 0n, nobody), EntryConfChange), false);
  assert.ok(passes(change(UpdateNode, 0n, nobody), EntryConfChange), "whoever asks is told");
  assert.ok(passes(change(RemoveNode, 0n, emptyBytes), EntryConfChange));
  assert.equal(passes(Uint8Array.of(0x08), EntryConfChange), false);
  assert.equal(passes(encodeConfChangeV2(new ConfChangeV2()), EntryConfChangeV2), false);
  assert.equal(passes(context, 3), false);
});
