// What happened to the keys: every revision that any member ever applied, in order, and a small store of its
// own that knows every key at every revision. It is the reference for all checks of answers.
//
//     member applies revision R ──► first to do so: recorded, checked against the rules of etcd's numbers
//                               └─► any other: must be the same, byte for byte
//
// Every value that a client writes is unique, so each change tells whose it is: a write happens at most once,
// after it was asked for, and never when it was refused.

import { decodeKeyValue, type KeyValue } from "@etcd-ts/api";
import { bytesToUtf8, crc32c, type Key, keyToBytes } from "@etcd-ts/base";
import { EventType, type KvEvent } from "@etcd-ts/machine";
import { Violation } from "./violation.ts";

/** A key from one revision on. */
export interface Version {
  readonly key: Key;
  readonly modRevision: number;
  /** Undefined: deleted. */
  readonly kv: KeyValue | undefined;
}

/** A write that a client asked for. */
export class Write {
  readonly name: string;
  /** Revisions up to this one were known to somebody when it was asked for. */
  readonly floor: number;
  /** The values that it puts. */
  readonly values: readonly string[];
  outcome: "open" | "done" | "refused" | "unknown" = "open";
  /** Where its changes stand; 0 when they were not seen. */
  appliedAt = 0;

  constructor(name: string, floor: number, values: readonly string[]) {
    this.name = name;
    this.floor = floor;
    this.values = values;
  }
}

interface Revision {
  readonly digest: number;
  readonly events: readonly Version[];
  readonly firstBy: string;
}

export class History {
  /** From revision 2 on: the first one is the empty store. */
  readonly #revisions: Revision[] = [];
  readonly #keys = new Map<Key, Version[]>();
  readonly #writes = new Map<string, Write>();
  #sortedKeys: Key[] | undefined;
  /** The newest revision that an answer has shown to anybody. */
  floor = 1;

  /** The newest revision that any member applied. */
  get revision(): number {
    return this.#revisions.length + 1;
  }

  /** What a revision changed, in order. */
  eventsOf(revision: number): readonly Version[] {
    return this.#revisions[revision - 2]?.events ?? [];
  }

  begin(name: string, values: readonly string[]): Write {
    const write = new Write(name, this.floor, values);
    for (const value of values) this.#writes.set(value, write);
    return write;
  }

  /** Certainly nothing happened, and nothing will. */
  refused(write: Write): void {
    write.outcome = "refused";
    if (write.appliedAt > 0) this.#refusedButDone(write);
  }

  /** An answer that is linearizable: nothing older may be shown from now on. */
  shown(what: string, revision: number, floor: number): void {
    if (revision < floor) {
      throw new Violation(
        "linearizability",
        `${what} is of revision ${revision}, but revision ${floor} was known before it was asked`,
      );
    }
    if (revision > this.revision) {
      throw new Violation(
        "linearizability",
        `${what} is of revision ${revision}, which is not yet`,
      );
    }
    this.floor = Math.max(this.floor, revision);
  }

  /** A member applied a revision. */
  record(member: string, revision: number, events: readonly KvEvent[]): void {
    let digest = events.length;
    for (const event of events) {
      digest = crc32c(digest, keyToBytes(event.key)) ^ (event.type * 0x9e3779b1);
      digest = crc32c(digest >>> 0, event.kv);
    }
    const known = this.#revisions[revision - 2];
    if (known !== undefined) {
      if (known.digest === digest) return;
      throw new Violation(
        "equal members",
        `revision ${revision} is ${describe(events)} at ${member}, ` +
          `but was ${known.events.map(describeVersion).join(", ")} at ${known.firstBy}`,
      );
    }
    if (revision !== this.revision + 1) {
      throw new Violation(
        "revisions",
        `${member} applied revision ${revision}, the newest anywhere was ${this.revision}`,
      );
    }
    const versions = events.map((event) => this.#version(event));
    this.#revisions.push({ digest, events: versions, firstBy: member });
    for (const version of versions) this.#add(version, revision);
  }

  /** A key at a revision; undefined when there was none. */
  at(key: Key, revision: number): KeyValue | undefined {
    const versions = this.#keys.get(key);
    if (versions === undefined) return undefined;
    for (let i = versions.length - 1; i >= 0; i--) {
      const version = versions[i] as Version;
      if (version.modRevision <= revision) return version.kv;
    }
    return undefined;
  }

  /** As `RangeRequest` means it: "" one key, "\0" everything from there on. */
  range(key: Key, end: Key, revision: number): KeyValue[] {
    if (end === "") {
      const kv = this.at(key, revision);
      return kv === undefined ? [] : [kv];
    }
    const found: KeyValue[] = [];
    for (const candidate of this.#sorted()) {
      if (candidate < key || (end !== "\0" && candidate >= end)) continue;
      const kv = this.at(candidate, revision);
      if (kv !== undefined) found.push(kv);
    }
    return found;
  }

  #version(event: KvEvent): Version {
    const { key, modRevision } = event;
    if (event.type === EventType.delete) return { key, modRevision, kv: undefined };
    return { key, modRevision, kv: decodeKeyValue(event.kv) };
  }

  #add(version: Version, revision: number): void {
    const { key, kv } = version;
    const before = this.at(key, revision);
    if (version.modRevision !== revision) {
      throw new Violation("revisions", `${describeVersion(version)} within revision ${revision}`);
    }
    if (kv !== undefined) this.#checkPut(kv, before, revision);
    else if (before === undefined) {
      throw new Violation("revisions", `revision ${revision} deletes ${key}, which was not there`);
    }
    let versions = this.#keys.get(key);
    if (versions === undefined) {
      versions = [];
      this.#keys.set(key, versions);
      this.#sortedKeys = undefined;
    }
    versions.push(version);
  }

  #checkPut(kv: KeyValue, before: KeyValue | undefined, revision: number): void {
    const version = (before?.version ?? 0) + 1;
    const createRevision = before?.createRevision ?? revision;
    if (kv.version !== version || kv.createRevision !== createRevision) {
      throw new Violation(
        "revisions",
        `revision ${revision} has version ${kv.version} and create revision ${kv.createRevision}, ` +
          `not ${version} and ${createRevision}`,
      );
    }
    const value = bytesToUtf8(kv.value);
    const write = this.#writes.get(value);
    if (write === undefined) {
      throw new Violation("exactly once", `revision ${revision} has ${value}, which nobody wrote`);
    }
    if (write.appliedAt !== 0 && write.appliedAt !== revision) {
      throw new Violation(
        "exactly once",
        `${write.name} happened at revision ${write.appliedAt} and again at ${revision}`,
      );
    }
    write.appliedAt = revision;
    if (write.outcome === "refused") this.#refusedButDone(write);
    if (revision <= write.floor) {
      throw new Violation(
        "linearizability",
        `${write.name} happened at revision ${revision}, but ${write.floor} was known before it was asked`,
      );
    }
  }

  #refusedButDone(write: Write): never {
    throw new Violation(
      "exactly once",
      `${write.name} was refused and happened at revision ${write.appliedAt}`,
    );
  }

  #sorted(): readonly Key[] {
    this.#sortedKeys ??= [...this.#keys.keys()].sort();
    return this.#sortedKeys;
  }
}

function describe(events: readonly KvEvent[]): string {
  return events
    .map(({ type, key, kv }) =>
      type === EventType.delete
        ? `delete ${key}`
        : `put ${key} = ${bytesToUtf8(decodeKeyValue(kv).value)}`,
    )
    .join(", ");
}

function describeVersion({ key, kv }: Version): string {
  return kv === undefined ? `delete ${key}` : `put ${key} = ${bytesToUtf8(kv.value)}`;
}
