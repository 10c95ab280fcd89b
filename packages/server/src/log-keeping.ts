// What the log keeper does to memory, log and disk.

import { assert, type Host, utf8ToBytes } from "@etcd-ts/base";
import { isOldStoreRequest } from "@etcd-ts/machine";
import { EntryType } from "@etcd-ts/raft";
import { purgeSnapFiles, type SnapMark, writeSnapFile } from "@etcd-ts/storage";
import type { LogKeeperActions } from "./log-keeper.ts";
import { doublingBounds, Histogram } from "./metric-types.ts";
import type { OpenedMember } from "./open-member.ts";
import { confStateOf } from "./outgoing-snapshot.ts";
import type { PeerTransport } from "./peer-transport.ts";
import type { Replica } from "./replica.ts";
import { v2StoreJson } from "./v2-store.ts";

/** Entries looked at in one go when their bytes are counted. */
const scanBytes = 1 << 20;
/** How much of its bound the log in memory may exceed while a peer is being sent a snapshot. */
const heldLogFactor = 4;

export class LogKeeping implements LogKeeperActions {
  readonly #host: Host;
  readonly #opened: OpenedMember;
  readonly #replica: Replica;
  readonly #transport: PeerTransport;
  /** Through here nothing that the old store is told is in memory. */
  #searchedIndex = 0;
  readonly saveSeconds: Histogram = new Histogram(doublingBounds(0.001, 14));

  constructor(host: Host, opened: OpenedMember, replica: Replica, transport: PeerTransport) {
    this.#host = host;
    this.#opened = opened;
    this.#replica = replica;
    this.#transport = transport;
  }

  capture(): SnapMark {
    const mark = this.#presentMark();
    this.#host.log.info("triggering snapshot", { "local-member-applied-index": mark.index });
    return mark;
  }

  #presentMark(): SnapMark {
    const { machine, log } = this.#opened;
    const index = machine.appliedIndex;
    const { members } = machine;
    const confState = confStateOf(members.list());
    const json = v2StoreJson(members.list(), members.removedIds, members.clusterVersion);
    const data = utf8ToBytes(json);
    assert(log.term(index) === machine.appliedTerm, "the log holds what was applied last");
    return { index, term: machine.appliedTerm, confState, data };
  }

  async writeSnapFile(mark: SnapMark): Promise<void> {
    const startMs = this.#host.clock.monotonicMs();
    await writeSnapFile(this.#host.disk, this.#snapDir, mark);
    this.saveSeconds.observe((this.#host.clock.monotonicMs() - startMs) / 1000);
  }

  async saveRecord(mark: SnapMark): Promise<void> {
    // A snapshot counts only up to the commit index that the log knows.
    this.#replica.writeState();
    await this.#opened.wal.saveSnapshot(mark);
    this.#host.log.info("saved snapshot to disk", { "snapshot-index": mark.index });
  }

  compactMemory(mark: SnapMark): void {
    const { log, config } = this.#opened;
    log.createSnapshot(mark.index, mark.confState, mark.data);
    // Who is being sent a snapshot needs what comes behind it; but memory has an end.
    if (this.#replica.logBytes < heldLogFactor * config.logBytesMax && this.#isHeld()) return;
    this.#keepFrom(this.#firstKept(mark.index, config.snapshotCatchupEntries));
  }

  /**
   * Drops from memory all that was applied through the last write to the old store, of which stock members from 3.7
   * on must not see any: whoever has not got it yet gets a snapshot. The log on disk is as it was.
   */
  forgetOldStore(): void {
    // What a snapshot brings is behind all such writes that were in the log before.
    if (this.#replica.isInstalling) return;
    const { log, machine } = this.#opened;
    let last = 0;
    let index = Math.max(log.firstIndex(), this.#searchedIndex + 1);
    while (index <= machine.appliedIndex) {
      const entries = log.entries(index, machine.appliedIndex + 1, scanBytes);
      assert(typeof entries !== "string", `entries from ${index} are in the log`);
      for (const entry of entries) {
        if (entry.type === EntryType.EntryNormal && isOldStoreRequest(entry)) last = entry.index;
      }
      index += entries.length;
    }
    this.#searchedIndex = machine.appliedIndex;
    if (last === 0) return;
    const mark = this.#presentMark();
    log.createSnapshot(mark.index, mark.confState, mark.data);
    this.#keepFrom(last + 1);
  }

  #keepFrom(index: number): void {
    const { log } = this.#opened;
    if (index <= log.firstIndex()) return;
    log.compact(index - 1);
    // Counted anew: what a later leader replaced was counted twice.
    this.#replica.logBytes = this.#bytesBetween(index, log.lastIndex() + 1);
    this.#host.log.info("compacted Raft logs", { "compact-index": index - 1 });
  }

  #isHeld(): boolean {
    if (this.#transport.holdsLog) return true;
    return this.#replica.bringsUpMember((id) => this.#transport.activeSinceMs(id) !== undefined);
  }

  releaseSegments(index: number): Promise<void> {
    return this.#opened.wal.releaseTo(index);
  }

  async purgeSnapFiles(): Promise<void> {
    const { maxSnapshots } = this.#opened.config;
    if (maxSnapshots > 0) await purgeSnapFiles(this.#host.disk, this.#snapDir, maxSnapshots);
  }

  get #snapDir(): string {
    return `${this.#opened.config.dataDir}/member/snap`;
  }

  /** The first index that stays in memory: `count` entries below the mark, unless they take too much room. */
  #firstKept(markIndex: number, count: number): number {
    const { log, config } = this.#opened;
    const wanted = Math.max(log.firstIndex(), markIndex - count + 1);
    let excess = this.#bytesBetween(wanted, log.lastIndex() + 1) - config.logBytesMax / 2;
    let index = wanted;
    while (excess > 0 && index <= markIndex) {
      excess -= this.#bytesBetween(index, index + 1);
      index++;
    }
    return index;
  }

  #bytesBetween(from: number, to: number): number {
    const { log } = this.#opened;
    let bytes = 0;
    for (let index = from; index < to; ) {
      const entries = log.entries(index, to, scanBytes);
      assert(typeof entries !== "string", `entries from ${index} are in the log`);
      for (const entry of entries) bytes += entry.data.length;
      index += entries.length;
    }
    return bytes;
  }
}
