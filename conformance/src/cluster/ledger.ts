// What was asked of a cluster and what it answered, and whether that can be the work of one correct store.
//
// While the load runs, in real time:
//  - a write that starts after revision r was seen anywhere gets a revision above r;
//  - a linearizable read that starts after revision r was seen answers with revision r or a later one.
// Afterwards, against the history that a watch from the beginning tells, which holds every change at its
// revision:
//  - revisions are continuous: each is there exactly once;
//  - each acknowledged write is there, under the revision it was acknowledged with, and nowhere else;
//  - a write of unknown outcome is there once or not at all, one that was refused is not there;
//  - the two keys of a transaction change together;
//  - a read at revision R saw, of its key, the last change up to R.
// Together these make the keys linearizable: the revisions are the order, and real time agrees with it.

import { bytesToUtf8 } from "@etcd-ts/base";
import type { Client } from "@etcd-ts/client";

const historyMs = 60_000;

export interface Write {
  readonly slot: number;
  /** Numbers of a slot ascend; a number is never used twice. */
  readonly number: number;
  readonly keys: readonly string[];
  readonly startMs: number;
  /** The highest revision that anybody had seen when it started. */
  readonly floor: number;
}

interface Read {
  readonly key: string;
  readonly revision: number;
  readonly modRevision: number;
  readonly number: number;
}

interface Change {
  readonly revision: number;
  readonly number: number;
}

export class Ledger {
  /** The highest revision that an answer has told of. */
  #floor = 0;
  /** Up to here the history was compared. */
  #verified: number;
  readonly #acknowledged = new Map<number, Write>();
  /** `slot:number` of writes that may come yet, and of those that must never. */
  readonly #unknown = new Set<string>();
  readonly #refused = new Set<string>();
  #reads: Read[] = [];
  /** Where each key stood at `#verified`. */
  readonly #last = new Map<string, Change>();
  acknowledgedCount = 0;
  unknownCount = 0;
  readCount = 0;

  /** `startRevision`: what the store holds up to it is none of ours. */
  constructor(startRevision: number) {
    this.#verified = startRevision;
    this.#floor = startRevision;
  }

  /** To be noted when a request starts. */
  get floor(): number {
    return this.#floor;
  }

  /** Throws when the revision is one that cannot be. */
  wrote(write: Write, revision: number): void {
    if (revision <= write.floor) {
      throw new Error(
        `a write of ${write.keys} was acknowledged with revision ${revision}, although ${write.floor} had been seen before it started`,
      );
    }
    const other = this.#acknowledged.get(revision);
    if (other !== undefined || revision <= this.#verified) {
      throw new Error(`revision ${revision} was given to ${other?.keys} and to ${write.keys}`);
    }
    this.#acknowledged.set(revision, write);
    this.acknowledgedCount += 1;
    if (revision > this.#floor) this.#floor = revision;
  }

  /** The write may have been done, or be done still. */
  lostSightOf(write: Write): void {
    this.#unknown.add(`${write.slot}:${write.number}`);
    this.unknownCount += 1;
  }

  /** The write was certainly not done. */
  wasRefused(write: Write): void {
    this.#refused.add(`${write.slot}:${write.number}`);
  }

  /** A linearizable read; `text` undefined when the key was not there. Throws when it was stale. */
  read(key: string, floor: number, revision: number, modRevision: number, text?: string): void {
    if (revision < floor) {
      throw new Error(
        `stale read of ${key}: revision ${revision}, although ${floor} had been seen before it started`,
      );
    }
    if (revision > this.#floor) this.#floor = revision;
    const number = text === undefined ? 0 : numberOf(text);
    this.#reads.push({ key, revision, modRevision, number });
    this.readCount += 1;
  }

  /** Compares what happened since the last call with the history; nothing may be under way. */
  async verify(client: Client, revision: number): Promise<void> {
    if (revision < this.#floor) {
      throw new Error(`the store is at revision ${revision}, but ${this.#floor} was seen`);
    }
    const changes = new Map<string, Change[]>();
    if (revision > this.#verified) await this.#replay(client, revision, changes);
    for (const [at, write] of this.#acknowledged) {
      throw new Error(
        `lost: the write of ${write.keys} = ${write.number}, acknowledged with revision ${at}`,
      );
    }
    for (const read of this.#reads) this.#verifyRead(read, changes.get(read.key) ?? []);
    this.#reads = [];
    for (const [key, list] of changes) this.#last.set(key, list.at(-1) as Change);
    this.#verified = revision;
  }

  async #replay(client: Client, revision: number, changes: Map<string, Change[]>): Promise<void> {
    const late = AbortSignal.timeout(historyMs);
    const watch = client.watch({
      prefix: loadPrefix,
      startRevision: BigInt(this.#verified + 1),
      signal: late,
    });
    let at = this.#verified;
    let group: { key: string; number: number }[] = [];
    const closeGroup = (): void => {
      if (group.length > 0) this.#verifyChange(at, group);
      group = [];
    };
    const marks = new Set<string>();
    try {
      for await (const event of watch) {
        const key = bytesToUtf8(event.kv?.key ?? new Uint8Array());
        const eventRevision = event.kv?.modRevision ?? 0;
        if (eventRevision !== at) {
          closeGroup();
          if (eventRevision !== at + 1) {
            throw new Error(`revision ${eventRevision} follows ${at} in the history`);
          }
          at = eventRevision;
        }
        const number = numberOf(bytesToUtf8(event.kv?.value ?? new Uint8Array()));
        const mark = `${key}:${number}`;
        if (marks.has(mark)) throw new Error(`${key} = ${number} was written twice`);
        marks.add(mark);
        group.push({ key, number });
        const list = changes.get(key);
        if (list === undefined) changes.set(key, [{ revision: at, number }]);
        else list.push({ revision: at, number });
        if (at >= revision && group.length === keysOf(slotOf(key)).length) break;
      }
    } catch (error) {
      if (!late.aborted) throw error;
      throw new Error(
        `the history stopped at ${at} for ${historyMs / 1000} s, the store is at ${revision}`,
      );
    } finally {
      watch.close();
    }
    closeGroup();
    if (at !== revision) throw new Error(`the history ends at ${at}, the store is at ${revision}`);
  }

  /** One revision: it must be the work of one write that was sent, and not of another one as well. */
  #verifyChange(revision: number, group: readonly { key: string; number: number }[]): void {
    const first = group[0] as { key: string; number: number };
    const slot = slotOf(first.key);
    const what = `${slot}:${first.number}`;
    const whole =
      group.length === keysOf(slot).length &&
      group.every((it) => slotOf(it.key) === slot && it.number === first.number);
    if (!whole) throw new Error(`revision ${revision} is torn: ${JSON.stringify(group)}`);
    const write = this.#acknowledged.get(revision);
    this.#acknowledged.delete(revision);
    if (write !== undefined) {
      if (write.slot === slot && write.number === first.number) return;
      throw new Error(
        `revision ${revision} was acknowledged for ${write.keys} = ${write.number}, but holds ${what}`,
      );
    }
    if (this.#refused.has(what)) throw new Error(`${what} was refused and is there (${revision})`);
    if (!this.#unknown.delete(what)) {
      throw new Error(`revision ${revision} holds ${what}, which nobody wrote, or not there`);
    }
  }

  #verifyRead(read: Read, changes: readonly Change[]): void {
    let expected = this.#last.get(read.key) ?? { revision: 0, number: 0 };
    for (const change of changes) {
      if (change.revision > read.revision) break;
      expected = change;
    }
    if (expected.revision === read.modRevision && expected.number === read.number) return;
    throw new Error(
      `a read at revision ${read.revision} saw ${read.key} = ${read.number} of ${read.modRevision}; the history says ${expected.number} of ${expected.revision}`,
    );
  }
}

export const loadPrefix = "load/";
const slotDigits = 7;

/** Every eighth slot writes two keys by a transaction, the others one by a put. */
export function keysOf(slot: number): string[] {
  const key = `${loadPrefix}${String(slot).padStart(slotDigits, "0")}`;
  return slot % 8 === 0 ? [`${key}/a`, `${key}/b`] : [key];
}

function slotOf(key: string): number {
  return Number(key.slice(loadPrefix.length, loadPrefix.length + slotDigits));
}

/** A value: its number and as much filling as makes it `bytes` long. */
export function valueText(number: number, bytes: number): string {
  const text = `${number} `;
  return text.padEnd(bytes, ".");
}

function numberOf(text: string): number {
  return Number(text.slice(0, text.indexOf(" ")));
}
