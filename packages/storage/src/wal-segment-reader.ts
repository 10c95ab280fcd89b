// Reads one segment of the log from beginning to end, a window at a time, and checks everything on the way.
//
// Where a segment ends:
//
//      length word 0, or end of file       the clean end (what follows was only preallocated)
//      a record reaching past the file,    "torn": the write of it was cut off by a crash. Only the last
//      or a bad one with a sector of       segment may end so, and what was cut off was never
//      nothing but zeros in it             acknowledged
//      a bad record otherwise              damage: `CorruptionError`
//
// Disks write sectors of 512 bytes whole, and a segment is all zeros before it is written: so a bad record
// in which some sector is still zero is one whose sectors did not all arrive, and a bad record without such
// a sector was once whole. A length word lies within one sector: it is there or it is zero. One that cannot
// have been written (its padding does not fit its length, or the record's own head in the same sector says
// another one) is therefore damage, even at the end, where believing it would silently drop acknowledged
// entries.

import {
  type Bytes,
  CorruptionError,
  copyBytes,
  crc32c,
  type DiskFile,
  emptyBytes,
  WireError,
} from "@etcd-ts/base";
import { decodeEntry, decodeHardState, type Entry, type HardState } from "@etcd-ts/raft";
import {
  decodeWalRecord,
  decodeWalSnapshot,
  WalRecordType,
  type WalSnapshot,
} from "./gen/walpb.ts";

const sectorBytes = 512;
const windowBytes = 1 << 20;
/** Of a record: three tags, type, checksum and data length. */
const headBytesMax = 3 + 1 + 5 + 5;

/** What stands in one segment. */
export interface SegmentContent {
  readonly path: string;
  /** Checksum chain before and after it. */
  readonly headCrc: number;
  readonly endCrc: number;
  readonly metadata: Bytes | undefined;
  /** The last one. */
  readonly hardState: HardState | undefined;
  readonly snapshots: readonly WalSnapshot[];
  /** How many of `entries` stand before each of them. */
  readonly entriesBefore: readonly number[];
  /** As written, overwritten ones included. Their data are views of the windows read. */
  readonly entries: readonly Entry[];
  /** End of the last good record. */
  readonly end: number;
  readonly fileBytes: number;
  /** True when a torn record follows at `end`. */
  readonly torn: boolean;
}

/** `isLast`: the segment may be torn. Throws `CorruptionError` and `DiskError`. */
export async function readSegment(file: DiskFile, isLast: boolean): Promise<SegmentContent> {
  const reader = new SegmentReader(file, isLast, await file.size());
  await reader.run();
  return reader;
}

class SegmentReader implements SegmentContent {
  readonly path: string;
  readonly fileBytes: number;
  readonly snapshots: WalSnapshot[] = [];
  readonly entriesBefore: number[] = [];
  readonly entries: Entry[] = [];
  headCrc = 0;
  endCrc = 0;
  metadata: Bytes | undefined;
  hardState: HardState | undefined;
  end = 0;
  torn = false;
  readonly #file: DiskFile;
  readonly #isLast: boolean;
  #recordCount = 0;
  #window: Bytes = emptyBytes;
  #windowStart = 0;

  constructor(file: DiskFile, isLast: boolean, fileBytes: number) {
    this.path = file.path;
    this.#file = file;
    this.#isLast = isLast;
    this.fileBytes = fileBytes;
  }

  async run(): Promise<void> {
    for (;;) {
      const left = this.fileBytes - this.end;
      if (left === 0) break;
      if (left < 8) {
        this.#cutOff("the file ends inside a length word");
        break;
      }
      if (!this.#holds(8)) await this.#read(8);
      const at = this.end - this.#windowStart;
      const window = this.#window;
      const low = readUint32(window, at);
      const high = readUint32(window, at + 4);
      if (low === 0 && high === 0) break;
      const padding = -low & 7;
      if (
        low === 0 ||
        low >= 2 ** 31 ||
        high !== (padding === 0 ? 0 : (0x80 | padding) * 2 ** 24)
      ) {
        throw this.#damage("length word that was never written");
      }
      const frameBytes = 8 + low + padding;
      if (frameBytes > left) {
        const headBytes = Math.min(left, 8 + headBytesMax);
        if (!this.#holds(headBytes)) await this.#read(headBytes);
        if (this.#contradictsHead(low)) throw this.#damage("length word that was never written");
        this.#cutOff("unexpected EOF: the record reaches past the end of the file");
        break;
      }
      if (!this.#holds(frameBytes)) await this.#read(frameBytes);
      if (!this.#record(low)) break;
      this.end += frameBytes;
      this.#recordCount++;
    }
    if (this.#recordCount < 2 || this.metadata === undefined) {
      throw this.#damage("the head of the segment is missing");
    }
  }

  /** Takes in the record at `end`; false when it is torn. */
  #record(length: number): boolean {
    const start = this.end + 8 - this.#windowStart;
    let record: ReturnType<typeof decodeWalRecord>;
    try {
      record = decodeWalRecord(this.#window, start, start + length);
    } catch (error) {
      if (!(error instanceof WireError)) throw error;
      return this.#bad(start, length, "record cannot be decoded", error);
    }
    if (record.type === WalRecordType.crc) {
      // The first record of every segment; nothing else may come before the chain's value is known.
      if (this.#recordCount === 0) this.headCrc = record.crc;
      else if (this.endCrc !== 0 && record.crc !== this.endCrc) {
        return this.#bad(start, length, "wal: crc mismatch");
      }
      this.endCrc = record.crc;
      return true;
    }
    if (this.#recordCount === 0)
      return this.#bad(start, length, "segment begins without a crc record");
    const crc = crc32c(this.endCrc, record.data);
    if (crc !== record.crc) return this.#bad(start, length, "wal: crc mismatch");
    this.endCrc = crc;
    try {
      this.#take(record.type, record.data);
    } catch (error) {
      if (!(error instanceof WireError)) throw error;
      throw this.#damage("record with a good checksum cannot be decoded", error);
    }
    return true;
  }

  #take(type: number, data: Bytes): void {
    switch (type) {
      case WalRecordType.entry:
        this.entries.push(decodeEntry(data));
        break;
      case WalRecordType.state:
        this.hardState = decodeHardState(data);
        break;
      case WalRecordType.metadata:
        if (this.metadata !== undefined && !sameBytes(this.metadata, data)) {
          throw this.#damage("wal: conflicting metadata found");
        }
        this.metadata ??= copyBytes(data);
        break;
      case WalRecordType.snapshot:
        this.snapshots.push(decodeWalSnapshot(data));
        this.entriesBefore.push(this.entries.length);
        break;
      default:
        throw this.#damage(`unexpected block type ${type}`);
    }
  }

  #bad(start: number, length: number, what: string, cause?: Error): boolean {
    if (this.#isLast && !this.#contradictsHead(length) && this.#hasZeroSector(start, length)) {
      this.torn = true;
      return false;
    }
    throw this.#damage(what, cause);
  }

  /**
   * Whether the head of the record at `end` tells of another length than the length word. Both are written
   * together: where they stand in one sector and differ, one was damaged later. Anything less is no proof.
   */
  #contradictsHead(length: number): boolean {
    const window = this.#window;
    const sectorEnd = this.end + sectorBytes - (this.end % sectorBytes);
    const to = Math.min(sectorEnd - this.#windowStart, window.length);
    const from = this.end + 8 - this.#windowStart;
    // 08 type 10 checksum 1a data length
    let at = from + 3;
    while (at < to && (window[at] as number) > 127) at++;
    at++;
    if (at >= to || window[from] !== 0x08 || window[from + 2] !== 0x10 || window[at] !== 0x1a) {
      return false;
    }
    at++;
    let dataBytes = 0;
    for (let scale = 1; at < to; scale *= 128) {
      const byte = window[at++] as number;
      dataBytes += (byte & 127) * scale;
      if (byte < 128) return at - from + dataBytes !== length;
    }
    return false;
  }

  /** Whether some part of the record, cut where the file's sectors are, is nothing but zeros. */
  #hasZeroSector(start: number, length: number): boolean {
    const end = start + length;
    let from = start;
    while (from < end) {
      const sectorEnd = from + sectorBytes - ((this.#windowStart + from) % sectorBytes);
      const to = Math.min(end, sectorEnd);
      let at = from;
      while (at < to && this.#window[at] === 0) at++;
      if (at === to) return true;
      from = to;
    }
    return false;
  }

  #cutOff(what: string): void {
    if (!this.#isLast) throw this.#damage(what);
    this.torn = true;
  }

  #holds(bytes: number): boolean {
    return this.end + bytes <= this.#windowStart + this.#window.length;
  }

  /** A new window from `end` on. The old one lives on under the entries that point into it. */
  async #read(bytes: number): Promise<void> {
    const wanted = Math.min(Math.max(bytes, windowBytes), this.fileBytes - this.end);
    this.#window = await this.#file.read(this.end, wanted);
    this.#windowStart = this.end;
    if (this.#window.length < bytes)
      throw this.#damage("the file became shorter while it was read");
  }

  #damage(what: string, cause?: Error): CorruptionError {
    return new CorruptionError(this.path, this.end, what, cause === undefined ? {} : { cause });
  }
}

function readUint32(bytes: Bytes, at: number): number {
  return (
    ((bytes[at] as number) |
      ((bytes[at + 1] as number) << 8) |
      ((bytes[at + 2] as number) << 16) |
      ((bytes[at + 3] as number) << 24)) >>>
    0
  );
}

function sameBytes(a: Bytes, b: Bytes): boolean {
  return a.length === b.length && a.every((byte, i) => byte === b[i]);
}
