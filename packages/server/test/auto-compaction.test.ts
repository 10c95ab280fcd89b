import assert from "node:assert/strict";
import { test } from "node:test";
import { decodeCompactionRequest } from "@etcd-ts/api";
import type { ApplyOutcome } from "@etcd-ts/machine";
import {
  createCompactionPart,
  type MemberContext,
  type Proposal,
  type Retention,
} from "../src/index.ts";

/** A member of which only the clock, the revision and the proposals are real. */
class FakeMember {
  nowMs = 0;
  revision = 1;
  isLeader = true;
  readonly compactions: number[] = [];
  outcome: string | undefined;
  #timer: { atMs: number; fire: () => void } | undefined;
  readonly context: MemberContext;

  constructor() {
    const member = this;
    const log = { info() {}, warn() {}, error() {}, debug() {}, named: () => log };
    this.context = {
      host: {
        log,
        clock: { monotonicMs: () => member.nowMs, wallMs: () => member.nowMs },
        timers: {
          after: (delayMs: number, fire: () => void) => {
            const timer = { atMs: member.nowMs + delayMs, fire };
            member.#timer = timer;
            return {
              cancel: () => {
                if (member.#timer === timer) member.#timer = undefined;
              },
            };
          },
        },
      },
      machine: {
        get revision() {
          return member.revision;
        },
      },
      get isLeader() {
        return member.isLeader;
      },
      isStopping: false,
      propose: (_operation: number, request: Uint8Array, proposal: Proposal) => {
        member.compactions.push(Number(decodeCompactionRequest(request).revision));
        proposal.applied({ error: member.outcome } as unknown as ApplyOutcome);
      },
    } as unknown as MemberContext;
  }

  /** Lets time pass, with so many writes in every minute. */
  run(minutes: number, writesPerMinute: number): void {
    for (let i = 0; i < minutes; i++) {
      const endMs = this.nowMs + 60_000;
      while (this.#timer !== undefined && this.#timer.atMs <= endMs) {
        this.nowMs = this.#timer.atMs;
        this.#timer.fire();
      }
      this.nowMs = endMs;
      this.revision += writesPerMinute;
    }
  }

  get hasTimer(): boolean {
    return this.#timer !== undefined;
  }
}

function start(member: FakeMember, retention: Retention) {
  const part = createCompactionPart(member.context, retention);
  assert.ok(part !== undefined);
  return part;
}

test("off is no part at all", () => {
  assert.equal(createCompactionPart(new FakeMember().context, { mode: "off" }), undefined);
});

test("periodic: the history of a period stays", () => {
  const member = new FakeMember();
  const part = start(member, { mode: "periodic", periodMs: 10 * 60_000 });
  member.run(9, 100);
  assert.equal(member.compactions.length, 0);
  member.run(60, 100);
  assert.ok(member.compactions.length >= 5);
  for (const [i, revision] of member.compactions.entries()) {
    if (i > 0) assert.ok(revision > (member.compactions[i - 1] as number));
  }
  // At no time was anything of the last ten minutes compacted.
  assert.ok((member.compactions.at(-1) as number) <= member.revision - 10 * 100);
  part.stop();
  assert.ok(!member.hasTimer);
});

test("periodic: without writes nothing is compacted twice, and a failure is tried again", () => {
  const member = new FakeMember();
  start(member, { mode: "periodic", periodMs: 10 * 60_000 });
  member.run(60, 0);
  assert.deepEqual(member.compactions, [1]);
  const failing = new FakeMember();
  failing.outcome = "timeout";
  start(failing, { mode: "periodic", periodMs: 10 * 60_000 });
  failing.run(15, 10);
  assert.ok(failing.compactions.length > 3);
  const raced = new FakeMember();
  raced.outcome = "compacted";
  start(raced, { mode: "periodic", periodMs: 10 * 60_000 });
  raced.run(19, 10);
  assert.equal(raced.compactions.length, 1);
});

test("revision: every five minutes, so many revisions stay", () => {
  const member = new FakeMember();
  start(member, { mode: "revision", revisions: 1000 });
  member.run(5, 100);
  assert.deepEqual(member.compactions, []);
  member.run(10, 100);
  assert.deepEqual(member.compactions, [401]);
  assert.equal(member.revision, 1501);
});

test("only a leader compacts, and a new one can at once", () => {
  const member = new FakeMember();
  member.isLeader = false;
  start(member, { mode: "periodic", periodMs: 10 * 60_000 });
  member.run(30, 10);
  assert.deepEqual(member.compactions, []);
  member.isLeader = true;
  member.run(1, 10);
  assert.equal(member.compactions.length, 1);
});
