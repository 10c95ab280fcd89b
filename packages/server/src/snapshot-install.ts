// A snapshot from the leader becomes the state of this member. Its database is on the disk already, whole
// and inspected, before raft hears of it (`peers/snapshot-receiver.ts`).
//
//     1  applying stops; what was to be applied up to the snapshot is dropped       (replica.ts)
//     2  a raft snapshot of our own that is under way comes to its end
//     3  write and sync `<term>-<index>.snap`                     crash: an unused file
//     4  log: snapshot record, entries behind it, hard state; sync ─── the point of no return
//     5  the backend's content becomes that of the database       crash: the start imports it again
//     6  the machine is rebuilt; hub, leases, counts are told; peers follow the membership
//     7  raft's log begins behind the snapshot, raft hears that it is durable, applying goes on
//     8  segments, snap files and the database that nobody needs any more go
//
// The record of step 4 counts from the moment in which the hard state behind it is on the disk, as its
// commit index covers the snapshot; a crash between the two leaves a record that no start looks at. While
// all this goes on, ticks, heartbeats and raft's steps go on too; what raft appends meanwhile is written
// behind the snapshot and answered after step 7.

import { assert, type Host } from "@etcd-ts/base";
import type { Member } from "@etcd-ts/machine";
import { purgeSnapFiles, type SnapMark, writeSnapFile } from "@etcd-ts/storage";
import type { ArrivedSnapshot } from "./append-line.ts";
import { refuseAuthState } from "./auth-guard.ts";
import type { BackendCommits } from "./backend-commits.ts";
import { snapshotFolder } from "./bootstrap.ts";
import { durationText } from "./duration-text.ts";
import { hexId } from "./ids.ts";
import type { LogKeeper } from "./log-keeper.ts";
import type { OpenedMember } from "./open-member.ts";
import { confStateOf } from "./outgoing-snapshot.ts";
import type { PeerTransport } from "./peer-transport.ts";
import { databasePath, purgeDatabasesTo } from "./peers/index.ts";
import { importDatabase } from "./restore/import-database.ts";
import { readV2Store } from "./v2-store.ts";

export interface InstallParts {
  readonly host: Host;
  readonly opened: OpenedMember;
  readonly logKeeper: LogKeeper;
  readonly commits: BackendCommits;
  readonly transport: PeerTransport;
  /** The machine holds the new state; in the same turn. */
  readonly stateReplaced: () => void;
  readonly fatal: (error: Error) => void;
}

/** The member stops: what is under way ends where a start can go on. */
class Stopped extends Error {}

export class SnapshotInstaller {
  readonly #parts: InstallParts;
  /** What has not ended: the one that is being installed, and those that only tidy up. */
  readonly #running: Set<Promise<void>> = new Set();
  #isInstalling = false;
  #stopped = false;

  constructor(parts: InstallParts) {
    this.#parts = parts;
  }

  begin(arrived: ArrivedSnapshot): void {
    assert(!this.#isInstalling, "one snapshot is installed at a time");
    this.#isInstalling = true;
    this.#run(this.#install(arrived));
  }

  /**
   * Received databases that nobody will take over go: those that raft ignored, and those that came twice. What
   * stands at or below the applied index cannot become the state any more.
   */
  purge(): void {
    if (this.#stopped || this.#isInstalling) return;
    const { host, opened } = this.#parts;
    const { appliedIndex } = opened.machine;
    this.#run(purgeDatabasesTo(host.disk, snapshotFolder(opened.config), appliedIndex));
  }

  #run(task: Promise<void>): void {
    const running: Promise<void> = task
      .catch((reason: unknown) => {
        if (reason instanceof Stopped) return;
        this.#parts.fatal(reason instanceof Error ? reason : new Error(String(reason)));
      })
      .finally(() => this.#running.delete(running));
    this.#running.add(running);
  }

  /** Resolves when nothing of it touches files or backend any more. */
  async stop(): Promise<void> {
    this.#stopped = true;
    await Promise.all(this.#running);
  }

  async #install(arrived: ArrivedSnapshot): Promise<void> {
    const { host, opened, logKeeper, commits } = this.#parts;
    const { machine, backend, config } = opened;
    const { index, snapshot } = arrived;
    const { term, confState } = snapshot.metadata!;
    const folder = snapshotFolder(config);
    const database = databasePath(folder, index);
    const startMs = host.clock.monotonicMs();
    host.log.info("applying snapshot", {
      "current-snapshot-index": logKeeper.markIndex,
      "current-applied-index": machine.appliedIndex,
      "incoming-leader-snapshot-index": index,
      "incoming-leader-snapshot-term": term,
    });
    await logKeeper.idle();
    this.#checkpoint();
    // Before the point of no return: what cannot be read here could not be at a start either.
    const membership = readV2Store(snapshot.data, database);
    const mark: SnapMark = { index, term, confState: confState!, data: snapshot.data };
    await writeSnapFile(host.disk, folder, mark);
    this.#checkpoint();
    await arrived.writeToLog();
    this.#checkpoint();
    const pause = () => this.#pause();
    const former = machine.members.list();
    await importDatabase(host.disk, database, backend, { pause, term, membership });
    await machine.reload(pause);
    refuseAuthState(machine.authEnabled, config.dataDir);
    assert(machine.appliedIndex === index, "the database was the state at the snapshot's index");
    commits.replaced();
    if (machine.confState === undefined) machine.setConfState(confStateOf(machine.members.list()));
    this.#followMembers(former);
    this.#parts.stateReplaced();
    logKeeper.markIndex = index;
    host.log.info("applied snapshot", {
      "local-member-id": hexId(opened.memberId),
      "incoming-leader-snapshot-index": index,
      "incoming-leader-snapshot-term": term,
      took: durationText(host.clock.monotonicMs() - startMs),
    });
    this.#isInstalling = false;
    // The next one may begin in here; it finds everything of this one done, but for what is tidied up.
    arrived.installed();
    await this.#tidy(folder, database, index);
  }

  /** The content is durable, so nothing below it is needed any more. */
  async #tidy(folder: string, database: string, index: number): Promise<void> {
    const { host, opened } = this.#parts;
    const { maxSnapshots } = opened.config;
    if (this.#stopped) return;
    await opened.wal.releaseTo(index);
    if (maxSnapshots > 0) await purgeSnapFiles(host.disk, folder, maxSnapshots);
    await host.disk.remove(database);
  }

  #followMembers(former: readonly Member[]): void {
    const { transport, opened } = this.#parts;
    const members = opened.machine.members.list();
    const present = new Set(members.map((member) => member.id));
    for (const { id } of former) if (!present.has(id)) transport.removePeer(id);
    for (const { id, peerUrls } of members) {
      if (id === opened.memberId) continue;
      transport.addPeer(id, peerUrls);
      transport.updatePeer(id, peerUrls);
    }
  }

  #pause(): Promise<void> {
    return new Promise((resolve, reject) => {
      this.#parts.host.timers.soon(() => {
        if (this.#stopped) reject(new Stopped());
        else resolve();
      });
    });
  }

  #checkpoint(): void {
    if (this.#stopped) throw new Stopped();
  }
}
