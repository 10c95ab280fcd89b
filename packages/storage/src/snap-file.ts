// `.snap` files: a raft snapshot's index, term and ConfState, and the membership as stock members up to 3.6
// keep it. The state itself is in the backend.
//
//      <term>-<index>.snap            { 1 crc = CRC-32C of data, 2 data = raftpb.Snapshot }
//      <term>-<index>.snap.broken     set aside: empty, or its checksum does not hold
//      <index>.snap.db                a database received from a leader, before it replaces the present one

import {
  type Bytes,
  CorruptionError,
  crc32c,
  type Disk,
  DiskError,
  WireError,
} from "@etcd-ts/base";
import { type ConfState, decodeSnapshot, encodeSnapshot, type Snapshot } from "@etcd-ts/raft";
import { decodeSnapEnvelope, encodeSnapEnvelope } from "./gen/snappb.ts";
import { promised } from "./paths.ts";
import { hex16 } from "./wal-names.ts";

export interface SnapMark {
  readonly index: number;
  readonly term: number;
  readonly confState: ConfState;
  /** Membership, as JSON of the v2 store. */
  readonly data: Bytes;
}

export interface SnapFileName {
  readonly name: string;
  readonly term: number;
  readonly index: number;
}

const pattern = /^([0-9a-f]{16})-([0-9a-f]{16})\.snap$/;
const databasePattern = /^([0-9a-f]{16})\.snap\.db$/;
const unfinishedPattern = /^[0-9a-f]{16}-([0-9a-f]{16})\.snap\.tmp$/;
/** A membership has some kilobytes; a v2 store of old times could have some megabytes. */
const fileBytesMax = 512 << 20;

export function snapFileName(term: number, index: number): string {
  return `${hex16(term)}-${hex16(index)}.snap`;
}

/** Durable when it resolves; a crash leaves the whole file or none. */
export async function writeSnapFile(disk: Disk, directory: string, mark: SnapMark): Promise<void> {
  const { index, term, confState } = mark;
  const data = encodeSnapshot({ data: mark.data, metadata: { confState, index, term } });
  const bytes = encodeSnapEnvelope({ crc: crc32c(0, data), data });
  const path = `${directory}/${snapFileName(term, index)}`;
  const temporary = `${path}.tmp`;
  await disk.remove(temporary);
  const file = await disk.open(temporary, "create");
  try {
    await promised((done) => file.write(0, [bytes], done));
    await promised((done) => file.sync(done));
  } finally {
    await file.close();
  }
  await disk.rename(temporary, path);
  await disk.syncDirectory(directory);
}

/** Throws `CorruptionError` when the file is not a whole snapshot. */
export async function readSnapFile(disk: Disk, path: string): Promise<Snapshot> {
  const file = await disk.open(path, "read");
  let bytes: Bytes;
  try {
    const size = await file.size();
    if (size === 0) throw new CorruptionError(path, 0, "snap: empty snapshot");
    if (size > fileBytesMax) throw new CorruptionError(path, 0, `a snapshot file of ${size} bytes`);
    bytes = await file.read(0, size);
  } finally {
    await file.close();
  }
  try {
    const { crc, data } = decodeSnapEnvelope(bytes);
    if (data.length === 0 || crc === 0) throw new CorruptionError(path, 0, "snap: empty snapshot");
    if (crc32c(0, data) !== crc) throw new CorruptionError(path, 0, "snap: crc mismatch");
    return decodeSnapshot(data);
  } catch (cause) {
    if (!(cause instanceof WireError)) throw cause;
    throw new CorruptionError(path, 0, "snapshot cannot be decoded", { cause });
  }
}

/** Newest first: by term, then index. None when there is no such folder. */
export async function listSnapFiles(disk: Disk, directory: string): Promise<SnapFileName[]> {
  const found: SnapFileName[] = [];
  for (const name of await namesIn(disk, directory)) {
    const match = pattern.exec(name);
    if (match === null) continue;
    const term = Number.parseInt(match[1] as string, 16);
    const index = Number.parseInt(match[2] as string, 16);
    if (Number.isSafeInteger(term) && Number.isSafeInteger(index))
      found.push({ name, term, index });
  }
  return found.sort((a, b) => b.term - a.term || b.index - a.index);
}

/**
 * The newest good snapshot that `accept` takes; undefined when there is none. Broken ones met on the way
 * are renamed to `.broken`.
 */
export async function loadNewestSnapFile(
  disk: Disk,
  directory: string,
  accept: (file: SnapFileName) => boolean = () => true,
): Promise<Snapshot | undefined> {
  for (const file of await listSnapFiles(disk, directory)) {
    if (!accept(file)) continue;
    const path = `${directory}/${file.name}`;
    try {
      return await readSnapFile(disk, path);
    } catch (error) {
      if (!(error instanceof CorruptionError)) throw error;
      await disk.rename(path, `${path}.broken`);
      await disk.syncDirectory(directory);
    }
  }
  return undefined;
}

/**
 * Removes all but the newest `kept` files, and databases and unfinished files older than the newest. An unfinished
 * one that is newer may be one that is being written: the next snapshot does not wait until an old one's leavings are
 * tidied up.
 */
export async function purgeSnapFiles(disk: Disk, directory: string, kept: number): Promise<void> {
  const files = await listSnapFiles(disk, directory);
  const newest = files[0];
  const removed = files.slice(kept).map((file) => file.name);
  for (const name of await namesIn(disk, directory)) {
    const match = databasePattern.exec(name) ?? unfinishedPattern.exec(name);
    const index = Number.parseInt(match?.[1] ?? "", 16);
    if (newest !== undefined && index < newest.index) removed.push(name);
  }
  for (const name of removed) await disk.remove(`${directory}/${name}`);
  if (removed.length > 0) await disk.syncDirectory(directory);
}

async function namesIn(disk: Disk, directory: string): Promise<string[]> {
  try {
    return await disk.list(directory);
  } catch (error) {
    if (error instanceof DiskError && error.code === "not-found") return [];
    throw error;
  }
}
