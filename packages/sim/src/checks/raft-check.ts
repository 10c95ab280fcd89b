// What raft promises (Raft, figure 3), checked on the logs of all members, whenever one of them has ended a
// turn and before each crash:
//
//     election safety        one leader in a term
//     log matching           an index and a term name one entry, and with it all entries before
//     state machine safety   a committed index names one entry, for ever and everywhere
//     leader completeness    a leader has every entry that was committed in an earlier term
//     durability             a member that comes back has what its log had when it promised it
//
// Each entry is looked at once per member and append, so the cost goes with the traffic.

import { crc32c, type Key } from "@etcd-ts/base";
import type { Entry } from "@etcd-ts/raft";
import type { Member } from "@etcd-ts/server";
import { Violation } from "./violation.ts";

/** What an entry is: its term and everything up to it, as one number. */
interface Seen {
  readonly term: number;
  readonly digest: number;
  readonly previousTerm: number;
}

/** What was seen of the log of one member, which outlives its lives. */
interface Logbook {
  /** Terms by index, from `first` on, as far as they are durable. */
  first: number;
  terms: number[];
  appliedIndex: number;
  term: number;
  ledTerm: number;
  /** The newest term as leader in which its log was seen to be complete. */
  provedTerm: number;
}

export class RaftCheck {
  /** By index, and of one index for each term. */
  readonly #entries: Seen[][] = [];
  /** Terms of committed entries by index. */
  readonly #committed: number[] = [];
  readonly #committedBy: string[] = [];
  /** In which term at the latest. */
  readonly #committedIn: number[] = [];
  readonly #leaders = new Map<number, string>();
  readonly #books = new Map<Key, Logbook>();
  entryCount = 0;
  leaderCount = 0;

  /** A member has come back: its log must hold what it held. Before it hears of anybody. */
  restarted(name: string, member: Member): void {
    const book = this.#books.get(name);
    if (book === undefined) return;
    const { log } = member.opened;
    const last = book.first + book.terms.length - 1;
    // The index before the first is that of its snapshot, whose term is known.
    for (let index = Math.max(book.first, log.firstIndex() - 1); index <= last; index++) {
      const term = log.term(index);
      const expected = book.terms[index - book.first] as number;
      if (term === expected) continue;
      // A newer leader may have replaced it and all behind it, durably, without our having seen it.
      if (typeof term === "number" && term > expected) break;
      throw new Violation(
        "durability",
        `${name} had entry ${index} of term ${expected} in its log, and came back with ${term}`,
      );
    }
    if (book.term > member.replica.term) {
      throw new Violation(
        "durability",
        `${name} was durably in term ${book.term}, and came back in ${member.replica.term}`,
      );
    }
    book.ledTerm = 0;
    book.provedTerm = 0;
    book.appliedIndex = 0; // what it applies again must be the same
  }

  /** After a turn. */
  observe(name: string, member: Member): void {
    const { log } = member.opened;
    const { replica } = member;
    const book = this.#bookOf(name, log.firstIndex());
    this.#readLog(name, book, member);
    const { term } = replica;
    if (replica.isLeader && term !== book.ledTerm) {
      book.ledTerm = term;
      this.#leads(name, term);
    }
    // It may lead before all that it has is durable; its first own entry comes behind all of that.
    if (replica.isLeader && term !== book.provedTerm && log.term(log.lastIndex()) === term) {
      book.provedTerm = term;
      this.#proveComplete(name, term, member);
    }
    if (member.machine.appliedIndex > book.appliedIndex) this.#applies(name, book, member);
  }

  #bookOf(name: string, first: number): Logbook {
    let book = this.#books.get(name);
    if (book === undefined) {
      book = { first, terms: [], appliedIndex: 0, term: 0, ledTerm: 0, provedTerm: 0 };
      this.#books.set(name, book);
    }
    return book;
  }

  /** Takes what is new in a log into the book. */
  #readLog(name: string, book: Logbook, member: Member): void {
    const { log } = member.opened;
    const first = log.firstIndex();
    const last = log.lastIndex();
    if (first > book.first + book.terms.length) {
      // A snapshot replaced everything.
      book.first = first;
      book.terms = [];
    } else if (first > book.first) {
      book.terms.splice(0, first - book.first);
      book.first = first;
    }
    const isCut = book.first + book.terms.length - 1 > last;
    if (isCut) book.terms.length = last - book.first + 1;
    // The newest known entry that is still the same: what lies behind it is new.
    let known = book.first + book.terms.length - 1;
    while (known >= book.first && log.term(known) !== book.terms[known - book.first]) known--;
    book.terms.length = Math.max(0, known - book.first + 1);
    if (known >= last) return;
    const from = Math.max(known + 1, first);
    const entries = log.entries(from, last + 1, Number.POSITIVE_INFINITY);
    if (!Array.isArray(entries)) return;
    let previous = log.term(from - 1);
    for (const entry of entries) {
      this.#enter(name, entry, typeof previous === "number" ? previous : -1);
      book.terms.push(entry.term);
      previous = entry.term;
    }
    const durableTerm = entries[entries.length - 1]?.term ?? 0;
    book.term = Math.max(book.term, durableTerm);
  }

  #enter(name: string, entry: Entry, previousTerm: number): void {
    this.entryCount++;
    const { index, term } = entry;
    const digest = crc32c(entry.type, entry.data);
    let known = this.#entries[index];
    if (known === undefined) {
      known = [];
      this.#entries[index] = known;
    }
    const seen = known.find((it) => it.term === term);
    if (seen === undefined) {
      known.push({ term, digest, previousTerm });
      return;
    }
    const id = `${index}/${term}`;
    if (seen.digest !== digest) {
      throw new Violation(
        "log matching",
        `entry ${id} is another at ${name} than it was elsewhere`,
      );
    }
    if (previousTerm >= 0 && seen.previousTerm >= 0 && previousTerm !== seen.previousTerm) {
      throw new Violation(
        "log matching",
        `before entry ${id} stands one of term ${previousTerm} at ${name}, ` +
          `and one of term ${seen.previousTerm} elsewhere`,
      );
    }
  }

  #leads(name: string, term: number): void {
    const other = this.#leaders.get(term);
    if (other !== undefined && other !== name) {
      throw new Violation("election safety", `${name} and ${other} both lead in term ${term}`);
    }
    if (other === undefined) this.leaderCount++;
    this.#leaders.set(term, name);
  }

  #proveComplete(name: string, term: number, member: Member): void {
    const { log } = member.opened;
    const first = log.firstIndex();
    for (let index = this.#committed.length - 1; index >= first; index--) {
      const committed = this.#committed[index];
      // Entries of its own term may be committed by others before they are durable here; and one that hears late
      // that it was elected may lead behind a later leader, which commits entries of terms before both.
      if (committed === undefined || (this.#committedIn[index] as number) >= term) continue;
      if (log.term(index) === committed) return; // and by log matching all before it
      throw new Violation(
        "leader completeness",
        `${name} leads in term ${term} with ${log.term(index)} at index ${index}, ` +
          `where an entry of term ${committed} was committed (${this.#committedBy[index]})`,
      );
    }
  }

  /**
   * What is applied is committed, and durable here. (A commit index may run ahead of the log: what it means may
   * still be on its way to the disk, in the place of something else.)
   */
  #applies(name: string, book: Logbook, member: Member): void {
    const { log } = member.opened;
    const until = Math.min(member.machine.appliedIndex, log.lastIndex());
    const from = Math.max(book.appliedIndex + 1, log.firstIndex());
    for (let index = from; index <= until; index++) {
      const term = log.term(index);
      const known = this.#committed[index];
      if (known === undefined) {
        if (typeof term !== "number") continue;
        this.#committed[index] = term;
        this.#committedBy[index] = name;
        this.#committedIn[index] = member.replica.term;
      } else if (known !== term) {
        throw new Violation(
          "state machine safety",
          `index ${index} is committed with term ${term} at ${name}, and with term ${known} at ` +
            `${this.#committedBy[index]}`,
        );
      }
    }
    book.appliedIndex = member.machine.appliedIndex;
  }
}
