// A client that watches a range from a revision on, for ever: when its stream ends it goes on at another member
// behind the last revision that it has, and what it has heard is held against the history:
//
//     ordered     revisions ascend
//     unique      none comes twice
//     complete    between two revisions that come, the history has no change of the range
//     atomic      all changes of one revision in the range come together, in order
//     resumable   all of this across streams, members and lives
//
// A compaction may take the past away; then it says so, and the watch goes on from where it says.

import {
  decodeWatchResponse,
  type Event,
  encodeKeyValue,
  encodeWatchRequest,
  WatchCreateRequest,
  WatchProgressRequest,
  WatchRequest,
  type WatchResponse,
} from "@etcd-ts/api";
import { bytesToKey, equalBytes, type Key, keyToBytes } from "@etcd-ts/base";
import type { Version } from "../checks/history.ts";
import { Violation } from "../checks/violation.ts";
import type { Caller } from "./caller.ts";

export interface WatchWorkload {
  readonly key: Key;
  /** As in a range. */
  readonly end: Key;
  readonly previous: boolean;
  readonly fragment: boolean;
  /** The client itself moves on after so many ms on average; 0: never. */
  readonly moveMs: number;
}

export class WatchClient {
  readonly caller: Caller;
  readonly #load: WatchWorkload;
  /** Everything up to here has come. */
  #position = 0;
  #created = false;
  /** Pieces of a split answer. */
  #pieces: Event[] = [];
  eventCount = 0;
  streamCount = 0;
  compactedCount = 0;
  #resume: () => void = () => {};

  constructor(caller: Caller, load: WatchWorkload) {
    this.caller = caller;
    this.#load = load;
  }

  /** Until the caller is stopped. */
  async run(): Promise<void> {
    while (!this.caller.isStopped) {
      await this.#watch();
      this.caller.turnAway();
      await this.caller.pause(200);
    }
  }

  /** Something of the range that has not come, up to a revision. */
  missing(revision: number): string | undefined {
    const at = this.#nextChange(this.#position + 1, revision);
    if (at === undefined) return undefined;
    return `${this.#name} has not heard of revision ${at}, it stands at ${this.#position}`;
  }

  #watch(): Promise<void> {
    const { caller } = this;
    const node = caller.someNode();
    const { random } = caller;
    this.#created = false;
    this.#pieces = [];
    this.streamCount++;
    return new Promise((resolve) => {
      let over = false;
      const finish = (): void => {
        if (over) return;
        over = true;
        resolve();
      };
      const stream = caller.channel(node).stream(
        "/etcdserverpb.Watch/Watch",
        {},
        {
          onMessage: (bytes) => {
            if (over) return;
            try {
              caller.cluster.world.mix(bytes.length);
              this.#heard(decodeWatchResponse(bytes));
            } catch (error) {
              caller.cluster.world.fail(error);
            }
          },
          onEnd: () => finish(),
        },
      );
      this.#resume = () => stream.cancel();
      const request = new WatchRequest();
      const create = new WatchCreateRequest();
      create.key = keyToBytes(this.#load.key);
      create.rangeEnd = keyToBytes(this.#load.end);
      create.startRevision = BigInt(this.#position + 1);
      create.prevKv = this.#load.previous;
      create.fragment = this.#load.fragment;
      create.progressNotify = true;
      request.createRequest = create;
      stream.send(encodeWatchRequest(request));
      const isOver = (): boolean => over || caller.isStopped;
      const askProgress = (): void => {
        if (isOver()) return;
        if (this.#created) {
          const ask = new WatchRequest();
          ask.progressRequest = new WatchProgressRequest();
          stream.send(encodeWatchRequest(ask));
        }
        caller.host.timers.after(1000 + random.below(2000), askProgress);
      };
      caller.host.timers.after(1000 + random.below(2000), askProgress);
      if (this.#load.moveMs > 0) {
        caller.host.timers.after(random.below(2 * this.#load.moveMs), () => {
          if (!isOver()) stream.cancel();
        });
      }
      // A stream on a connection that is half open would never end by itself.
      let lastPosition = this.#position;
      let lastAnswers = this.#answerCount;
      const lookAgain = (): void => {
        if (isOver()) return;
        const isStuck = this.#position === lastPosition && this.#answerCount === lastAnswers;
        lastPosition = this.#position;
        lastAnswers = this.#answerCount;
        if (isStuck) {
          caller.hangUp(node);
          finish();
        } else caller.host.timers.after(8000, lookAgain);
      };
      caller.host.timers.after(8000, lookAgain);
    });
  }
  #answerCount = 0;

  #heard(response: WatchResponse): void {
    this.#answerCount++;
    const revision = response.header?.revision ?? 0;
    if (response.created) {
      this.#created = true;
      if (!response.canceled) return;
    }
    if (response.canceled) {
      if (response.compactRevision > 0) {
        this.compactedCount++;
        if (response.compactRevision <= this.#position) {
          throw new Violation(
            "watch",
            `${this.#name} is at ${this.#position} and hears of a compaction at ` +
              `${response.compactRevision}`,
          );
        }
        // What lies before is gone; the change at the compacted revision itself may be there.
        this.#position = response.compactRevision - 1;
      }
      this.#resume();
      return;
    }
    if (response.fragment) {
      if (!this.#load.fragment) throw new Violation("watch", `${this.#name}: split without a wish`);
      this.#pieces.push(...response.events);
      return;
    }
    const events =
      this.#pieces.length === 0 ? response.events : [...this.#pieces, ...response.events];
    this.#pieces = [];
    if (events.length === 0) this.#progress(revision);
    else this.#take(events, revision);
  }

  /** Nothing else up to there. */
  #progress(revision: number): void {
    if (revision > this.caller.cluster.history.revision) {
      throw new Violation("watch", `${this.#name}: progress to ${revision}, which is not yet`);
    }
    const missed = this.#nextChange(this.#position + 1, revision);
    if (missed !== undefined) {
      throw new Violation(
        "watch",
        `${this.#name} hears of progress to ${revision} and had nothing of revision ${missed}`,
      );
    }
    this.#position = Math.max(this.#position, revision);
  }

  #take(events: readonly Event[], headerRevision: number): void {
    const { history } = this.caller.cluster;
    for (let i = 0; i < events.length; ) {
      const revision = events[i]?.kv?.modRevision ?? 0;
      if (revision <= this.#position) {
        throw new Violation(
          "watch",
          `${this.#name} hears of revision ${revision}, and had everything to ${this.#position}`,
        );
      }
      if (revision > headerRevision && headerRevision > 0) {
        throw new Violation(
          "watch",
          `${this.#name}: revision ${revision} in an answer of ${headerRevision}`,
        );
      }
      const missed = this.#nextChange(this.#position + 1, revision - 1);
      if (missed !== undefined) {
        throw new Violation("watch", `${this.#name} hears of ${revision}, and not of ${missed}`);
      }
      const expected = history.eventsOf(revision).filter((version) => this.#covers(version.key));
      for (const version of expected) {
        const event = events[i++];
        if (event === undefined || !isSame(event, version)) {
          throw new Violation(
            "watch",
            `${this.#name}: revision ${revision} has ${expected.length} changes, ` +
              `what comes of ${version.key} is something else`,
          );
        }
        this.#checkPrevious(event, revision);
        this.eventCount++;
      }
      this.#position = revision;
    }
  }

  #checkPrevious(event: Event, revision: number): void {
    const { prevKv } = event;
    if (prevKv === undefined) return; // may be compacted
    const key = bytesToKey(event.kv?.key as Uint8Array);
    const expected = this.caller.cluster.history.at(key, revision - 1);
    const isRight =
      this.#load.previous &&
      expected !== undefined &&
      equalBytes(encodeKeyValue(prevKv), encodeKeyValue(expected));
    if (!isRight) throw new Violation("watch", `${this.#name}: wrong value before ${revision}`);
  }

  /** The first revision in [from, to] that changes something of the range. */
  #nextChange(from: number, to: number): number | undefined {
    const { history } = this.caller.cluster;
    for (let revision = Math.max(2, from); revision <= to; revision++) {
      if (history.eventsOf(revision).some(({ key }) => this.#covers(key))) return revision;
    }
    return undefined;
  }

  #covers(key: Key): boolean {
    const { key: from, end } = this.#load;
    return end === "" ? key === from : key >= from && (end === "\0" || key < end);
  }

  get #name(): string {
    return `watch ${this.caller.name}`;
  }
}

function isSame(event: Event, version: Version): boolean {
  const { kv } = event;
  if (kv === undefined || bytesToKey(kv.key) !== version.key) return false;
  if (kv.modRevision !== version.modRevision) return false;
  if (version.kv === undefined) return event.type === 1;
  return event.type === 0 && equalBytes(encodeKeyValue(kv), encodeKeyValue(version.kv));
}
