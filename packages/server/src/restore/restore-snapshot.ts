// From a snapshot file, ours or stock's, to the data directory of a member of a new cluster.
//
//     checks ─► SHA-256 of the file ─► .snap, log (renamed into place) ─► store: content replaced in one moment
//
// The order is what makes a crash harmless. A server that finds the log and not yet the store refuses to start, as
// the log begins with a snapshot that the store has not applied; before the log is in its place there is nothing
// of value. And whatever fails takes back what was made.
//
// The log is what the members of a new cluster would have written: at term 1 one AddNode change for each, ascending by
// id, all committed, and a snapshot behind the last one. All members that are restored from one file with the
// same flags begin with the same log, and so form a cluster.

import {
  type Bytes,
  bytesToUtf8,
  type Disk,
  DiskError,
  equalBytes,
  type Host,
  utf8ToBytes,
} from "@etcd-ts/base";
import {
  type Backend,
  type ContentSink,
  encodeMemberContext,
  encodeRevisionKey,
  type Member,
} from "@etcd-ts/machine";
import {
  ConfChange,
  ConfChangeType,
  ConfState,
  Entry,
  EntryType,
  encodeConfChange,
  HardState,
} from "@etcd-ts/raft";
import { hashDatabase, readSnapshotTrailer, Wal, writeSnapFile } from "@etcd-ts/storage";
import { hexId } from "../ids.ts";
import { v2StoreJson } from "../v2-store.ts";
import { DatabaseContent } from "./database-content.ts";
import { bigEndian64 } from "./import-database.ts";
import {
  type ClusterOptions,
  type RestoredCluster,
  RestoreError,
  restoredCluster,
} from "./restored-members.ts";

export interface RestoreOptions extends ClusterOptions {
  readonly snapshotPath: string;
  readonly dataDir: string;
  /** Empty or absent: inside of the data directory. */
  readonly walDir?: string;
  /** Takes a file without a digest, such as a copy of a member's own `db`, and one whose digest is wrong. */
  readonly skipHashCheck?: boolean;
  /** How far revisions jump; only together with `markCompacted`. */
  readonly bumpRevision?: number;
  /** All revisions up to the bumped one count as compacted: watches from before end. */
  readonly markCompacted?: boolean;
  /** Only logged: our store's map grows by itself. */
  readonly initialMemoryMapBytes?: number;
}

export interface RestoreSetup {
  readonly host: Host;
  readonly options: RestoreOptions;
  /** Makes the store in a folder that does not exist. */
  openBackend(folder: string): Promise<Backend>;
}

const term = 1;
/** Keys of bucket `meta` that say where the old member stood. */
const ownMeta: readonly string[] = ["consistent_index", "term", "confState"];

/** Rejects with `RestoreError`, `CorruptionError` or `DiskError`; there is no data directory then. */
export async function restoreSnapshot(setup: RestoreSetup): Promise<void> {
  const { host, options } = setup;
  const { disk } = host;
  const cluster = restoredCluster(host.digests, options);
  const { dataDir } = options;
  const walDir = options.walDir || `${dataDir}/member/wal`;
  const isNew = await checkFolders(disk, dataDir, walDir);
  const logged = {
    path: options.snapshotPath,
    "wal-dir": walDir,
    "data-dir": dataDir,
    "snap-dir": `${dataDir}/member/snap`,
    "initial-memory-map-size": options.initialMemoryMapBytes ?? 10 * 2 ** 30,
  };
  host.log.info("restoring snapshot", logged);
  const databaseBytes = await checkDigest(host, options);
  const making = new Making(disk, dataDir, walDir, isNew);
  await making.begin();
  try {
    await makeLog(host, cluster, dataDir, walDir);
    await makeStore(setup, cluster, databaseBytes);
    await making.finish();
  } catch (error) {
    await making.undo();
    throw error;
  }
  host.log.info("restored snapshot", logged);
}

/** Whether the data directory must be made. */
async function checkFolders(disk: Disk, dataDir: string, walDir: string): Promise<boolean> {
  const found = await disk.stat(dataDir);
  if (found !== undefined) {
    const isEmpty = found.kind === "directory" && (await disk.list(dataDir)).length === 0;
    if (!isEmpty) {
      throw new RestoreError(`data-dir ${JSON.stringify(dataDir)} not empty or could not be read`);
    }
  }
  if ((await disk.stat(walDir)) !== undefined) {
    throw new RestoreError(`wal-dir ${JSON.stringify(walDir)} exists`);
  }
  return found === undefined;
}

/** Length of the database in the file, whose digest is right. */
async function checkDigest(host: Host, options: RestoreOptions): Promise<number> {
  const { snapshotPath: path, skipHashCheck = false } = options;
  let file: Awaited<ReturnType<Disk["open"]>>;
  try {
    file = await host.disk.open(path, "read");
  } catch (error) {
    if (!(error instanceof DiskError && error.code === "not-found")) throw error;
    throw new RestoreError(`open ${path}: no such file or directory`, { cause: error });
  }
  try {
    if ((await host.disk.stat(path))?.kind === "directory") {
      throw new RestoreError(`read ${path}: is a directory`);
    }
    const { databaseBytes, digest } = await readSnapshotTrailer(file);
    if (skipHashCheck) return databaseBytes;
    if (digest === undefined) {
      throw new RestoreError("snapshot missing hash but --skip-hash-check=false");
    }
    const found = await hashDatabase(file, databaseBytes, host.digests, () => turn(host));
    if (!equalBytes(found, digest)) {
      throw new RestoreError(`expected sha256 ${decimals(digest)}, got ${decimals(found)}`);
    }
    return databaseBytes;
  } finally {
    await file.close();
  }
}

/** Holds the member's folder while it is made, and takes back what there is of it. */
class Making {
  readonly #disk: Disk;
  readonly #dataDir: string;
  readonly #walDir: string;
  readonly #isNew: boolean;
  #lock: Awaited<ReturnType<Disk["lock"]>> | undefined;

  constructor(disk: Disk, dataDir: string, walDir: string, isNew: boolean) {
    this.#disk = disk;
    this.#dataDir = dataDir;
    this.#walDir = walDir;
    this.#isNew = isNew;
  }

  async begin(): Promise<void> {
    await this.#disk.makeDirectory(`${this.#dataDir}/member/snap`);
    await this.#sync();
    try {
      this.#lock = await this.#disk.lock(`${this.#dataDir}/member/lock`);
    } catch (error) {
      if (!(error instanceof DiskError && error.code === "locked")) throw error;
      const message = `data-dir ${JSON.stringify(this.#dataDir)} is in use by another process`;
      throw new RestoreError(message, { cause: error });
    }
  }

  async finish(): Promise<void> {
    await this.#sync();
    await this.#lock?.release();
  }

  async #sync(): Promise<void> {
    for (const folder of ["/member/snap", "/member", ""]) {
      await this.#disk.syncDirectory(this.#dataDir + folder);
    }
    await this.#disk.syncDirectory(parentOf(this.#dataDir));
  }

  async undo(): Promise<void> {
    // The log first: without it there is nothing that a server would take for a member's.
    for (const path of [this.#walDir + unfinished, this.#walDir, `${this.#dataDir}/member`]) {
      await this.#remove(path);
    }
    await this.#lock?.release();
    if (this.#isNew) await this.#remove(this.#dataDir);
  }

  async #remove(path: string): Promise<void> {
    if ((await this.#disk.stat(path)) !== undefined) await this.#disk.remove(path);
  }
}

const unfinished = ".restoring";

async function makeLog(
  host: Host,
  cluster: RestoredCluster,
  dataDir: string,
  walDir: string,
): Promise<void> {
  const { members, memberId, clusterId } = cluster;
  const index = members.length;
  const confState = new ConfState();
  confState.voters = members.map((member) => member.id);
  const data = utf8ToBytes(v2StoreJson(members, [], ""));
  await writeSnapFile(host.disk, `${dataDir}/member/snap`, { index, term, confState, data });
  const folder = `${walDir}${unfinished}`;
  await host.disk.makeDirectory(parentOf(walDir));
  await host.disk.remove(folder);
  const wal = await Wal.create(host, folder, { nodeId: memberId, clusterId });
  try {
    const hardState = new HardState();
    hardState.term = term;
    hardState.vote = members[0]!.id;
    hardState.commit = index;
    await new Promise<void>((resolve, reject) => {
      wal.append(hardState, members.map(addition), true, (error) =>
        error === undefined ? resolve() : reject(error),
      );
    });
    await wal.saveSnapshot({ index, term, confState });
  } finally {
    await wal.close();
  }
  await host.disk.rename(folder, walDir);
  await host.disk.syncDirectory(parentOf(walDir));
}

function addition(member: Member, at: number): Entry {
  const change = new ConfChange();
  change.type = ConfChangeType.AddNode;
  change.nodeId = member.id;
  change.context = encodeMemberContext(member);
  const entry = new Entry();
  entry.type = EntryType.EntryConfChange;
  entry.term = term;
  entry.index = at + 1;
  entry.data = encodeConfChange(change);
  return entry;
}

async function makeStore(
  setup: RestoreSetup,
  cluster: RestoredCluster,
  databaseBytes: number,
): Promise<void> {
  const { host, options } = setup;
  const backend = await setup.openBackend(`${options.dataDir}/member/store`);
  try {
    await DatabaseContent.use(host.disk, options.snapshotPath, databaseBytes, (content) =>
      backend.replaceContent((sink) => fillStore(host, options, cluster, content, sink)),
    );
  } finally {
    await backend.close();
  }
}

/** Everything but what belongs to the old cluster, and what belongs to the new one. */
async function fillStore(
  host: Host,
  options: RestoreOptions,
  cluster: RestoredCluster,
  content: DatabaseContent,
  sink: ContentSink,
): Promise<void> {
  const { members, clusterId } = cluster;
  const { lastRevision } = await content.read(
    (bucket, key, value) => {
      if (bucket === "members" || bucket === "members_removed") return;
      if (bucket === "meta" && ownMeta.includes(bytesToUtf8(key))) return;
      sink.put(bucket, key, value);
    },
    () => sink.flush(),
  );
  host.log.info("Trimming membership information from the backend...");
  const { bumpRevision = 0, markCompacted = false } = options;
  const latest = lastRevision + bumpRevision;
  if (!Number.isSafeInteger(latest)) {
    throw new RestoreError(`--bump-revision ${bumpRevision} leads beyond what revisions can be`);
  }
  if (bumpRevision > 0) {
    host.log.info("bumping latest revision", {
      "latest-revision": lastRevision,
      "bump-amount": bumpRevision,
      "new-latest-revision": latest,
    });
    sink.put("key", encodeRevisionKey(latest, 0), new Uint8Array(0));
  }
  if (markCompacted) {
    host.log.info("marking revision compacted", { revision: latest });
    sink.put("meta", utf8ToBytes("scheduledCompactRev"), encodeRevisionKey(latest, 0));
  }
  for (const member of members) {
    const { id, peerUrls } = member;
    host.log.info("added member", {
      "cluster-id": hexId(clusterId),
      "local-member-id": "0",
      "added-peer-id": hexId(id),
      "added-peer-peer-urls": peerUrls,
      "added-peer-is-learner": false,
    });
    sink.put("members", utf8ToBytes(hexId(id)), encodeMemberContext(member));
  }
  const confState = `{"voters":[${members.map((member) => member.id).join(",")}],"auto_leave":false}`;
  sink.put("meta", utf8ToBytes("confState"), utf8ToBytes(confState));
  sink.put("meta", utf8ToBytes("consistent_index"), bigEndian64(members.length));
  sink.put("meta", utf8ToBytes("term"), bigEndian64(term));
}

function parentOf(path: string): string {
  const end = path.replace(/\/+$/, "").lastIndexOf("/");
  return end < 0 ? "." : end === 0 ? "/" : path.slice(0, end);
}

function decimals(bytes: Bytes): string {
  return `[${[...bytes].join(" ")}]`;
}

function turn(host: Host): Promise<void> {
  return new Promise((resolve) => host.timers.soon(resolve));
}
