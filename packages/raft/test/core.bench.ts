// What the core costs: batches of proposals through a group of three, with all work done in memory. The
// suite runs a few rounds, so that this never rots; `RAFT_BENCH=5000` gives figures.

import assert from "node:assert/strict";
import test from "node:test";
import {
  appendThread,
  type Entry,
  isStorageThread,
  MemoryLog,
  type Message,
  RawNode,
} from "../src/index.ts";
import { confStateOf, makeSnapshot } from "./helpers.ts";

const rounds = Number(process.env["RAFT_BENCH"] ?? 20);
const value = new Uint8Array(256);

class Member {
  readonly log = new MemoryLog();
  readonly node: RawNode;
  applied = 0;
  readonly #id: bigint;
  readonly #async: boolean;

  constructor(id: bigint, ids: readonly bigint[], asyncStorageWrites: boolean) {
    this.#id = id;
    this.#async = asyncStorageWrites;
    this.log.applySnapshot(makeSnapshot(0, 0, confStateOf(...ids)));
    this.node = new RawNode({
      id,
      log: this.log,
      random: { below: () => 0 },
      electionTicks: 10,
      heartbeatTicks: 1,
      inflightMessagesMax: 512,
      messageBytesMax: 1 << 20,
      asyncStorageWrites,
    });
  }

  work(send: (message: Message) => void): void {
    while (this.node.hasReady()) {
      const ready = this.node.ready();
      if (!this.#async) {
        this.log.append(ready.entries);
        for (const message of ready.messages) send(message);
        this.#apply(ready.committedEntries);
        this.node.advance();
        continue;
      }
      for (const message of ready.messages) {
        if (!isStorageThread(message.to)) {
          send(message);
          continue;
        }
        if (message.to === appendThread) this.log.append(message.entries);
        else this.#apply(message.entries);
        for (const response of message.responses) {
          if (response.to === this.#id) this.node.step(response);
          else send(response);
        }
      }
    }
    if (this.log.lastIndex() - this.log.firstIndex() > 20_000)
      this.log.compact(this.applied - 5000);
  }

  #apply(entries: readonly Entry[]): void {
    this.applied += entries.length;
  }
}

for (const asyncStorageWrites of [false, true]) {
  for (const [members, batch] of [
    [1, 1],
    [1, 100],
    [1, 1000],
    [3, 1],
    [3, 100],
    [3, 1000],
  ] as const) {
    const mode = asyncStorageWrites ? "asynchronous" : "synchronous";
    test(`${members} members, batches of ${batch}, ${mode}`, (context) => {
      const ids = Array.from({ length: members }, (_, i) => BigInt(i + 1));
      const group = ids.map((id) => new Member(id, ids, asyncStorageWrites));
      const settle = (): void => {
        let busy = true;
        const send = (message: Message): void => {
          busy = true;
          group[Number(message.to) - 1]?.node.step(message);
        };
        while (busy) {
          busy = false;
          for (const member of group) member.work(send);
        }
      };
      group[0]!.node.campaign();
      settle();
      const count = Math.max(1, Math.min(rounds, Math.ceil((rounds * 100) / batch)));
      const datas = Array.from({ length: batch }, () => value);
      const propose = (times: number): void => {
        for (let i = 0; i < times; i++) {
          assert.equal(group[0]!.node.propose(datas), "ok");
          settle();
        }
      };
      // The first half is for the compiler.
      propose(count);
      const start = process.hrtime.bigint();
      propose(count);
      const nanoseconds = Number(process.hrtime.bigint() - start);
      for (const member of group) assert.equal(member.applied, 2 * count * batch + 1);
      context.diagnostic(`${(nanoseconds / count / batch / 1000).toFixed(3)} µs an entry`);
    });
  }
}
