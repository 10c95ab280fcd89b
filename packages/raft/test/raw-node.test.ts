import assert from "node:assert/strict";
import test from "node:test";
import { bytesToUtf8, InvariantError, SeededRandom, utf8ToBytes } from "@etcd-ts/base";
import {
  appendThread,
  applyThread,
  describeEntry,
  describeMessage,
  describeReady,
  EntryType,
  HardState,
  LogLevel,
  MemoryLog,
  type Message,
  MessageType,
  noNode,
  type RaftConfig,
  RaftConfigError,
  RawNode,
  Role,
  stepResultText,
} from "../src/index.ts";
import { quoteBytes } from "../src/quote.ts";
import {
  confStateOf,
  entriesOf,
  makeLog,
  makeSnapshot,
  message,
  ofType,
  TestNode,
} from "./helpers.ts";

const { MsgApp, MsgStorageAppend, MsgStorageApply, MsgVote, MsgVoteResp } = MessageType;

function configOf(options: Partial<RaftConfig> = {}): RaftConfig {
  return {
    id: 1n,
    log: makeLog({ voters: [1n] }),
    random: new SeededRandom(1),
    electionTicks: 10,
    heartbeatTicks: 1,
    inflightMessagesMax: 256,
    ...options,
  };
}

// --- configuration --------------------------------------------------------------------------------

for (const [options, text] of [
  [{ id: noNode }, "cannot use none as id"],
  [{ id: appendThread }, "cannot use local target as id"],
  [{ id: applyThread }, "cannot use local target as id"],
  [{ heartbeatTicks: 0 }, "heartbeat tick must be greater than 0"],
  [{ electionTicks: 1 }, "election tick must be greater than heartbeat tick"],
  [{ log: undefined as never }, "storage cannot be nil"],
  [{ inflightMessagesMax: 0 }, "max inflight messages must be greater than 0"],
  [{ inflightBytesMax: 5, messageBytesMax: 6 }, "max inflight bytes must be >= max message size"],
  [{ readMode: "lease" }, "CheckQuorum must be enabled when ReadOnlyOption is ReadOnlyLeaseBased"],
] as const) {
  test(`a configuration is refused: ${text}`, () => {
    assert.throws(() => new RawNode(configOf(options)), new RaftConfigError(text));
  });
}

test("a log that contradicts itself is refused", () => {
  const log = makeLog({ voters: [1n], terms: [1], commit: 2 });
  assert.throws(() => new RawNode(configOf({ log })), InvariantError);
  const broken = new MemoryLog();
  const confState = confStateOf(1n);
  confState.learners = [1n];
  broken.applySnapshot(makeSnapshot(5, 1, confState));
  assert.throws(() => new RawNode(configOf({ log: broken })), InvariantError);
});

// --- bootstrap ------------------------------------------------------------------------------------

test("founders begin with one change each, committed, and may campaign at once", () => {
  const log = new MemoryLog();
  const raw = new RawNode(configOf({ log }));
  assert.equal(raw.hasReady(), false);
  assert.equal(raw.bootstrap([]), "must provide at least one peer to Bootstrap");
  const peers = [1n, 2n].map((id) => ({ id, context: utf8ToBytes(`peer ${id}`) }));
  assert.equal(raw.bootstrap(peers), undefined);
  const ready = raw.ready();
  assert.deepEqual([ready.hardState?.term, ready.hardState?.commit, ready.mustSync], [1, 2, true]);
  assert.equal(ready.entries.length, 2);
  assert.deepEqual(ready.committedEntries, ready.entries);
  assert.equal(describeEntry(ready.entries[1]!), "1/2 EntryConfChange v2");
  assert.equal(raw.status().configuration.toString(), "voters=(1 2)");
  log.append(ready.entries);
  raw.advance();
  raw.campaign();
  assert.equal(raw.basicStatus().role, Role.candidate);
});

test("a log that is not empty is not bootstrapped", () => {
  const raw = new RawNode(configOf({ log: makeLog({ voters: [1n], terms: [1] }) }));
  const peers = [{ id: 1n, context: new Uint8Array() }];
  assert.equal(raw.bootstrap(peers), "can't bootstrap a nonempty Storage");
});

// --- Ready, synchronous ---------------------------------------------------------------------------

test("a group of one elects itself and commits, through the same messages as any other", () => {
  const node = new TestNode({ voters: [1n] });
  node.raw.campaign();
  const first = node.handle();
  assert.deepEqual(
    [first.mustSync, first.softState?.role, first.hardState?.vote],
    [true, Role.candidate, 1n],
  );
  const second = node.handle();
  assert.equal(second.entries.length, 1);
  assert.deepEqual(second.committedEntries, []);
  const third = node.handle();
  assert.deepEqual([third.mustSync, third.hardState?.commit], [false, 1]);
  assert.equal(third.committedEntries.length, 1);
  assert.equal(node.raw.hasReady(), false);
});

test("a Ready tells everything once, and the next one needs an advance", () => {
  const node = new TestNode({ voters: [1n] }).winElection([]);
  node.drain();
  node.propose("x");
  assert.equal(node.raw.hasReady(), true);
  const ready = node.raw.ready();
  assert.deepEqual([ready.softState, ready.hardState], [undefined, undefined]);
  assert.equal(node.raw.hasReady(), false);
  assert.throws(() => node.raw.ready(), InvariantError);
  node.log.append(ready.entries);
  node.raw.advance();
  assert.equal(node.raw.hasReady(), true);
});

test("an idle node has nothing to say, ticks or not", () => {
  const node = new TestNode();
  node.tick(5);
  assert.equal(node.raw.hasReady(), false);
  assert.equal(describeReady(node.raw.ready()), "<empty Ready>");
  node.raw.advance();
});

test("a restarted node applies what was committed, from where it is told", () => {
  for (const [applied, wanted] of [
    [0, [1, 2]],
    [1, [2]],
  ] as const) {
    const options = { voters: [1n], terms: [1, 1, 1], commit: 2, applied };
    const node = new TestNode(options);
    const ready = node.handle();
    assert.deepEqual(
      ready.committedEntries.map((entry) => entry.index),
      wanted,
    );
    assert.equal(ready.mustSync, false);
    assert.equal(ready.hardState, undefined);
  }
});

test("a node restarts from a snapshot that is ahead of the stored commit index", () => {
  const log = new MemoryLog();
  log.applySnapshot(makeSnapshot(7, 2, confStateOf(1n)));
  log.append(entriesOf(8, 2));
  const hardState = new HardState();
  hardState.term = 2;
  hardState.commit = 5;
  log.setHardState(hardState);
  const raw = new RawNode(configOf({ log }));
  assert.deepEqual([raw.basicStatus().commit, raw.basicStatus().applied], [7, 7]);
});

test("what is handed out to be applied is bounded, and the rest follows", () => {
  const node = new TestNode({ voters: [1n], terms: [1, 1, 1], commit: 3, applyBytesMax: 1 });
  for (const index of [1, 2, 3]) {
    const ready = node.handle();
    assert.deepEqual(
      ready.committedEntries.map((entry) => entry.index),
      [index],
    );
  }
});

// --- Ready, asynchronous --------------------------------------------------------------------------

/** The work for a thread in the messages. */
function workFor(thread: bigint, messages: readonly Message[]): Message | undefined {
  return messages.find((each) => each.to === thread);
}

test("asynchronous: appends and applies go to their threads with the responses to deliver", () => {
  const node = new TestNode({ voters: [1n], asyncStorageWrites: true });
  node.raw.campaign();
  const vote = workFor(appendThread, node.raw.ready().messages)!;
  assert.deepEqual([vote.type, vote.term, vote.vote, vote.commit], [MsgStorageAppend, 1, 1n, 0]);
  for (const response of vote.responses) node.raw.step(response);
  assert.equal(node.role, Role.leader);

  // Two appends under way; the second does not repeat the first.
  node.propose("a");
  const first = workFor(appendThread, node.raw.ready().messages)!;
  node.propose("b");
  const second = workFor(appendThread, node.raw.ready().messages)!;
  assert.deepEqual(
    [first, second].map((work) => work.entries.map((entry) => entry.index)),
    [[1, 2], [3]],
  );
  // An append that changes no hard state carries none.
  assert.deepEqual([first.term, first.vote, first.commit], [0, 0n, 0]);

  node.log.append(first.entries);
  for (const response of first.responses) node.raw.step(response);
  const { messages } = node.raw.ready();
  const apply = workFor(applyThread, messages)!;
  assert.equal(apply.type, MsgStorageApply);
  assert.deepEqual(
    apply.entries.map((entry) => entry.index),
    [1, 2],
  );
  assert.equal(workFor(appendThread, messages)!.commit, 2);
  assert.equal(node.raw.basicStatus().applied, 0);
  for (const response of apply.responses) node.raw.step(response);
  assert.equal(node.raw.basicStatus().applied, 2);
  assert.throws(() => node.raw.advance(), InvariantError);
});

test("asynchronous: nobody is asked for a vote in a term that is not durable here", () => {
  const node = new TestNode({ asyncStorageWrites: true });
  node.raw.campaign();
  const { messages } = node.raw.ready();
  assert.deepEqual(
    messages.map((each) => each.to),
    [appendThread],
  );
  const work = workFor(appendThread, messages)!;
  assert.deepEqual([work.term, work.vote], [1, 1n]);
  assert.deepEqual(
    work.responses.map((each) => [each.type, each.to]),
    [
      [MsgVoteResp, 1n],
      [MsgVote, 2n],
      [MsgVote, 3n],
    ],
  );
});

test("asynchronous: committed entries that are not durable here are not applied yet", () => {
  const node = new TestNode({ asyncStorageWrites: true, term: 1 });
  const entries = entriesOf(1, 1);
  node.raw.step(message(MsgApp, { from: 2n, to: 1n, term: 1, entries, commit: 1 }));
  const { messages, committedEntries } = node.raw.ready();
  assert.deepEqual(committedEntries, []);
  const work = workFor(appendThread, messages)!;
  node.log.append(work.entries);
  const own = work.responses.filter((response) => response.to === 1n);
  for (const response of own) node.raw.step(response);
  assert.deepEqual(node.raw.ready().committedEntries, entries);
});

test("asynchronous: a report of durability from an earlier term does not count", () => {
  const node = new TestNode({ asyncStorageWrites: true, term: 1 });
  const append = (term: number, from: bigint): Message => {
    const entries = entriesOf(1, term);
    node.raw.step(message(MsgApp, { from, to: 1n, term, entries }));
    return workFor(appendThread, node.raw.ready().messages)!;
  };
  const reportOf = (work: Message): Message =>
    work.responses.find((each) => each.from === appendThread)!;
  const first = append(1, 2n);
  const second = append(2, 3n);
  node.raw.step(reportOf(first));
  node.log.append(first.entries);
  // Were it counted, the entry of term 2 would be looked for in the log, which holds the one of term 1.
  assert.equal(node.raw.termAt(1), 2);
  node.log.append(second.entries);
  node.raw.step(reportOf(second));
  assert.equal(node.raw.termAt(1), 2);
});

test("asynchronous: a change of the term alone causes an append with a report of all that is young", () => {
  const node = new TestNode({ asyncStorageWrites: true, term: 1 });
  node.raw.step(message(MsgApp, { from: 2n, to: 1n, term: 1, entries: entriesOf(1, 1) }));
  node.raw.ready();
  node.raw.step(message(MessageType.MsgHeartbeat, { from: 3n, to: 1n, term: 2 }));
  const work = workFor(appendThread, node.raw.ready().messages)!;
  assert.deepEqual([work.term, work.entries], [2, []]);
  const [report] = work.responses;
  assert.deepEqual([report?.term, report?.index, report?.logTerm], [2, 1, 1]);
});

// --- the rest -------------------------------------------------------------------------------------

test("a status shows everyone's progress on a leader, and nobody's elsewhere", () => {
  const node = new TestNode({ learners: [4n] });
  assert.equal(node.raw.status().progress.size, 0);
  node.winElection();
  const { progress, configuration, lead, term } = node.raw.status();
  assert.deepEqual([...progress.keys()], [1n, 2n, 3n, 4n]);
  assert.equal(progress.get(4n)?.isLearner, true);
  assert.deepEqual([configuration.toString(), lead, term], ["voters=(1 2 3) learners=(4)", 1n, 1]);
});

test("messages to peers carry who, when and what", () => {
  const node = new TestNode().winElection();
  node.propose("x");
  node.tick(1);
  for (const each of node.drain()) {
    assert.equal(each.from, 1n);
    assert.equal(each.term, 1);
  }
});

test("a silent logger builds no text; a loud one gets the level with it", () => {
  const lines: string[] = [];
  const logger = {
    level: LogLevel.warn as LogLevel,
    write: (level: LogLevel, text: string) => lines.push(`${level} ${text}`),
  };
  const node = new TestNode({ logger, voters: [2n] });
  node.raw.campaign();
  assert.deepEqual(lines, ["2 1 is unpromotable and can not campaign"]);
});

test("refusals have the sentences that users of etcd know", () => {
  assert.equal(stepResultText("ok"), "");
  assert.equal(stepResultText("dropped"), "raft proposal dropped");
  assert.equal(stepResultText("local-message"), "raft: cannot step raft local message");
  assert.equal(stepResultText("unknown-peer"), "raft: cannot step as peer not found");
});

test("ids are written in hexadecimal, data quoted", () => {
  const node = new TestNode({ id: 0xabcn, voters: [0xabcn, 0xdefn] });
  node.raw.campaign();
  const [request] = ofType(node.drain(), MessageType.MsgVote);
  assert.equal(describeMessage(request!), "abc->def MsgVote Term:1 Log:0/0");
  for (const [bytes, text] of [
    [utf8ToBytes('a"b\\c\n\t'), '"a\\"b\\\\c\\n\\t"'],
    [utf8ToBytes("é→😀"), '"é→😀"'],
    [utf8ToBytes("\u200b\u{e0001}\x7f\x01"), '"\\u200b\\U000e0001\\x7f\\x01"'],
    [new Uint8Array([0xff, 0xc3, 0x28, 0xe2, 0x82]), '"\\xff\\xc3(\\xe2\\x82"'],
    [new Uint8Array([0xed, 0xa0, 0x80, 0xc0, 0x80]), '"\\xed\\xa0\\x80\\xc0\\x80"'],
  ] as const) {
    assert.equal(quoteBytes(bytes), text);
  }
  const [entry] = entriesOf(3, 2);
  entry!.type = EntryType.EntryConfChangeV2;
  assert.equal(describeEntry(entry!), "2/3 EntryConfChangeV2");
  entry!.type = EntryType.EntryNormal;
  entry!.data = utf8ToBytes("x");
  assert.equal(describeEntry(entry!, bytesToUtf8), "2/3 EntryNormal x");
});
