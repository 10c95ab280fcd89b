// Bucket `meta`: where the state machine stands. Written in the same batch as what it describes, so that a
// crash finds both or neither.
//
//     consistent_index       u64 big-endian     last applied log index
//     term                   u64 big-endian     its term
//     confState              JSON               raft's configuration at that index
//     scheduledCompactRev    revision key       compaction that began
//     finishedCompactRev     revision key       compaction that removed everything
//     storageVersion         text

import {
  allocateBytes,
  type Bytes,
  bytesToUtf8,
  CorruptionError,
  utf8ToBytes,
} from "@etcd-ts/base";
import type { Backend } from "./backend.ts";
import { JsonError, parseJson, toUint64 } from "./json64.ts";
import { encodeRevisionKey, isRevisionKey, mainOf } from "./revision-key.ts";

/** Raft's configuration, shaped as raft's own `ConfState`. */
export interface MachineConfState {
  readonly voters: readonly bigint[];
  readonly learners: readonly bigint[];
  readonly votersOutgoing: readonly bigint[];
  readonly learnersNext: readonly bigint[];
  readonly autoLeave: boolean;
}

const keys = {
  index: utf8ToBytes("consistent_index"),
  term: utf8ToBytes("term"),
  confState: utf8ToBytes("confState"),
  scheduled: utf8ToBytes("scheduledCompactRev"),
  finished: utf8ToBytes("finishedCompactRev"),
  storageVersion: utf8ToBytes("storageVersion"),
} as const;

/** What a hash over the whole backend leaves out, as it differs between equal members. */
export const unhashedMetaKeys: readonly Bytes[] = [keys.index, keys.term, keys.storageVersion];

const two32 = 0x1_0000_0000;

export class Meta {
  readonly #backend: Backend;

  constructor(backend: Backend) {
    this.#backend = backend;
  }

  readApplied(): { index: number; term: number } {
    return { index: this.#readNumber(keys.index), term: this.#readNumber(keys.term) };
  }

  writeApplied(index: number, term: number): void {
    this.#backend.put("meta", keys.index, encodeNumber(index));
    this.#backend.put("meta", keys.term, encodeNumber(term));
  }

  readConfState(): MachineConfState | undefined {
    const value = this.#backend.get("meta", keys.confState);
    if (value === undefined) return undefined;
    try {
      const json = parseJson(bytesToUtf8(value));
      const list = (name: string): bigint[] => json.list(name).map(toUint64);
      return {
        voters: list("voters"),
        learners: list("learners"),
        votersOutgoing: list("voters_outgoing"),
        learnersNext: list("learners_next"),
        autoLeave: json.flag("auto_leave"),
      };
    } catch (cause) {
      if (!(cause instanceof JsonError)) throw cause;
      throw new CorruptionError("bucket meta", 0, "undecodable confState", { cause });
    }
  }

  writeConfState(state: MachineConfState): void {
    this.#backend.put("meta", keys.confState, utf8ToBytes(confStateJson(state)));
  }

  /** Main revisions of the compaction that began last and of the one that was finished last; -1: none. */
  readCompaction(): { scheduled: number; finished: number } {
    return {
      scheduled: this.#readRevision(keys.scheduled),
      finished: this.#readRevision(keys.finished),
    };
  }

  writeScheduled(revision: number): void {
    this.#backend.put("meta", keys.scheduled, encodeRevisionKey(revision, 0));
  }

  writeFinished(revision: number): void {
    this.#backend.put("meta", keys.finished, encodeRevisionKey(revision, 0));
  }

  readStorageVersion(): string {
    const value = this.#backend.get("meta", keys.storageVersion);
    return value === undefined ? "" : bytesToUtf8(value);
  }

  writeStorageVersion(version: string): void {
    if (version === "") this.#backend.delete("meta", keys.storageVersion);
    else this.#backend.put("meta", keys.storageVersion, utf8ToBytes(version));
  }

  #readNumber(key: Bytes): number {
    const value = this.#backend.get("meta", key);
    if (value === undefined) return 0;
    let number = 0;
    for (const byte of value) number = number * 256 + byte;
    if (value.length !== 8 || number > Number.MAX_SAFE_INTEGER) throw damaged(key);
    return number;
  }

  #readRevision(key: Bytes): number {
    const value = this.#backend.get("meta", key);
    if (value === undefined) return -1;
    if (!isRevisionKey(value)) throw damaged(key);
    return mainOf(value);
  }
}

function confStateJson(state: MachineConfState): string {
  const list = (name: string, ids: readonly bigint[]): string =>
    ids.length === 0 ? "" : `"${name}":[${ids.join(",")}],`;
  return (
    `{${list("voters", state.voters)}${list("learners", state.learners)}` +
    `${list("voters_outgoing", state.votersOutgoing)}${list("learners_next", state.learnersNext)}` +
    `"auto_leave":${state.autoLeave}}`
  );
}

function encodeNumber(value: number): Bytes {
  const bytes = allocateBytes(8);
  const high = Math.floor(value / two32);
  for (let i = 0; i < 4; i++) {
    bytes[i] = high >>> (24 - 8 * i);
    bytes[4 + i] = value >>> (24 - 8 * i);
  }
  return bytes;
}

function damaged(key: Bytes): CorruptionError {
  return new CorruptionError("bucket meta", 0, `undecodable ${bytesToUtf8(key)}`);
}
