// What must hold in every history (Raft figure 3; thesis §6.4 for reads). The checker sees all nodes at once,
// which no node can, and throws at the first step after which something does not hold.

import { bytesToHex } from "@etcd-ts/base";
import type { Entry, LogGap } from "../../src/index.ts";

export class Violation extends Error {
  override readonly name = "Violation";
}

interface KnownEntry {
  readonly previousTerm: number;
  readonly content: string;
}

interface CommittedEntry {
  readonly term: number;
  readonly content: string;
}

export class Checker {
  readonly #leaders = new Map<number, bigint>();
  readonly #entries = new Map<string, KnownEntry>();
  readonly #committed: CommittedEntry[] = [];
  /** How often each kind of event was seen: a check that saw nothing proves nothing. */
  readonly seen = {
    leaders: 0,
    entries: 0,
    commits: 0,
    applied: 0,
    reads: 0,
    snapshots: 0,
    changes: 0,
  };

  /** Highest index that anybody knows to be committed. */
  get committedIndex(): number {
    return this.#committed.length;
  }

  /** Election safety: at most one leader in a term. */
  leader(id: bigint, term: number): boolean {
    const other = this.#leaders.get(term);
    if (other === id) return false;
    if (other !== undefined) fail(`term ${term} has two leaders, ${other} and ${id}`);
    this.#leaders.set(term, id);
    this.seen.leaders += 1;
    return true;
  }

  /** Leader completeness: a new leader has everything that was ever committed. */
  leaderLog(id: bigint, term: number, termAt: (index: number) => number | LogGap): void {
    for (let index = 1; index <= this.#committed.length; index++) {
      const own = termAt(index);
      const wanted = this.#committed[index - 1]!.term;
      if (own !== "compacted" && own !== wanted) {
        fail(`leader ${id} of term ${term} has ${own}/${index}, committed was ${wanted}/${index}`);
      }
    }
  }

  /**
   * Log matching, by induction: index and term of an entry determine its content and the term of the entry
   * before, wherever it appears.
   */
  appended(entries: readonly Entry[], termBefore: number | undefined): void {
    let previousTerm = termBefore;
    for (const entry of entries) {
      const key = `${entry.index}/${entry.term}`;
      const content = contentOf(entry);
      const known = this.#entries.get(key);
      if (known === undefined) {
        if (previousTerm !== undefined) this.#entries.set(key, { previousTerm, content });
        this.seen.entries += 1;
      } else {
        if (known.content !== content) fail(`entry ${key} exists with two contents`);
        if (previousTerm !== undefined && known.previousTerm !== previousTerm) {
          fail(`entry ${key} exists behind terms ${known.previousTerm} and ${previousTerm}`);
        }
      }
      previousTerm = entry.term;
    }
  }

  /** State machine safety: nobody applies another entry at an index. */
  applied(id: bigint, entry: Entry): void {
    const content = contentOf(entry);
    this.seen.applied += 1;
    const known = this.#committed[entry.index - 1];
    if (known === undefined) {
      if (entry.index !== this.#committed.length + 1) {
        fail(`node ${id} applies ${entry.index}, but ${this.#committed.length} is the last known`);
      }
      this.#committed.push({ term: entry.term, content });
      this.seen.commits += 1;
    } else if (known.term !== entry.term || known.content !== content) {
      fail(`node ${id} applies ${entry.term}/${entry.index}, committed was ${known.term}`);
    }
  }

  /** A node's commit index never decreases while it lives. */
  commitIndex(id: bigint, before: number, now: number): void {
    if (now < before) fail(`node ${id} had commit index ${before}, now ${now}`);
  }

  /** A read sees all that was acknowledged before it was asked. */
  read(id: bigint, index: number, committedBefore: number): void {
    this.seen.reads += 1;
    if (index < committedBefore) {
      fail(`node ${id} may read at ${index}, but ${committedBefore} was committed before`);
    }
  }
}

function contentOf(entry: Entry): string {
  return `${entry.type}:${bytesToHex(entry.data)}`;
}

function fail(what: string): never {
  throw new Violation(what);
}
