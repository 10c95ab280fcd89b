// What the log keeper does to memory, log and disk.

import { assert, type Host, utf8ToBytes } from "@etcd-ts/base";
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
  readonly saveSeconds: Histogram = new Histogram(doublingBounds(0.001, 14));

  constructor(host: Host, opened: OpenedMember, replica: Replica, transport: PeerTransport) {
    this.#host = host;
    this.#opened = opened;
    this.#replica = replica;
    this.#transport = transport;
  }

  capture(): SnapMark {
    const { machine, log } = this.#opened;
    const index = machine.appliedIndex;
    const { members } = machine;
    const confState = confStateOf(members.list());
    const json = v2StoreJson(members.list(), members.removedIds, members.clusterVersion);
    const data = utf8ToBytes(json);
    this.#host.log.info("triggering snapshot", { "local-member-applied-index": index });
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
    const keepFrom = this.#firstKept(mark.index, config.snapshotCatchupEntries);
    const dropped = log.firstIndex();
    if (keepFrom <= dropped) return;
    log.compact(keepFrom - 1);
    // Counted anew: what a later leader replaced was counted twice.
    this.#replica.logBytes = this.#bytesBetween(keepFrom, log.lastIndex() + 1);
    this.#host.log.info("compacted Raft logs", { "compact-index": keepFrom - 1 });
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
