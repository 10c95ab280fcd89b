// Who belongs to the cluster, and what the cluster has agreed about its version. Buckets:
//
//     members           id as hex → {"id":N,"peerURLs":[…],"isLearner":true,"name":"…","clientURLs":[…]}
//     members_removed   id as hex → removed
//     cluster           clusterVersion → 3.7.0, downgrade → {"target-version":"3.6.0","enabled":true}
//
// The JSON is what etcd stores; names that are empty, false or zero are left out.

import type { ErrorCode } from "@etcd-ts/api";
import { type Bytes, bytesToUtf8, CorruptionError, emptyBytes, utf8ToBytes } from "@etcd-ts/base";
import type { Backend } from "./backend.ts";
import { JsonError, type JsonObject, parseJson, quoteJson } from "./json64.ts";

export interface Member {
  readonly id: bigint;
  readonly peerUrls: readonly string[];
  readonly isLearner: boolean;
  /** Empty until the member has published itself; as are the client URLs. */
  readonly name: string;
  readonly clientUrls: readonly string[];
}

export interface Downgrade {
  readonly enabled: boolean;
  /** Such as `3.6.0`. */
  readonly targetVersion: string;
}

/** raftpb.ConfChangeType */
export const MemberChangeType = {
  addNode: 0,
  removeNode: 1,
  updateNode: 2,
  addLearnerNode: 3,
} as const;

/** A raft configuration change (v1) as it stands in the log. */
export interface MemberChange {
  readonly type: number;
  readonly nodeId: bigint;
  /** JSON of the member, see `encodeMemberContext`; empty for a removal. */
  readonly context: Bytes;
}

export type MemberChangeKind = "added" | "promoted" | "updated" | "removed" | "none";

/** What a change says of its member. */
export interface MemberChangeContent {
  /** Undefined where they stay as they are. */
  readonly peerUrls: readonly string[] | undefined;
}

export interface ConfChangeOutcome {
  /** Why the change was refused; then it changes nothing. */
  readonly error: ErrorCode | undefined;
  readonly kind: MemberChangeKind;
  /** What to give to raft: the change, or one without a node, which is none, when it was refused. */
  readonly raftChange: MemberChange;
  /** The member as it is now; of a removal, as it was. */
  readonly member: Member | undefined;
  /** All members now, by id. */
  readonly members: readonly Member[];
}

const clusterVersionKey = utf8ToBytes("clusterVersion");
const downgradeKey = utf8ToBytes("downgrade");
const removedMark = utf8ToBytes("removed");

export class Members {
  readonly #backend: Backend;
  readonly #learnersMax: number;
  readonly #members: Map<bigint, Member> = new Map();
  readonly #removed: Set<bigint> = new Set();
  #clusterVersion = "";
  #downgrade: Downgrade = { enabled: false, targetVersion: "" };

  constructor(backend: Backend, learnersMax: number) {
    this.#backend = backend;
    this.#learnersMax = learnersMax;
  }

  /** `X.Y.0`; empty while it is not known. */
  get clusterVersion(): string {
    return this.#clusterVersion;
  }

  get downgrade(): Downgrade {
    return this.#downgrade;
  }

  get(id: bigint): Member | undefined {
    return this.#members.get(id);
  }

  isRemoved(id: bigint): boolean {
    return this.#removed.has(id);
  }

  get removedIds(): readonly bigint[] {
    return [...this.#removed].sort(ascending);
  }

  /** By id. */
  list(): Member[] {
    return [...this.#members.values()].sort((a, b) => ascending(a.id, b.id));
  }

  /**
   * Carries a change out, or says why not. Throws `CorruptionError` for a context that cannot be what a
   * member proposed: that stops every member alike.
   */
  change(change: MemberChange): ConfChangeOutcome {
    switch (change.type) {
      case MemberChangeType.addNode:
      case MemberChangeType.addLearnerNode: {
        const { member, isPromote } = decodeContext(change);
        return isPromote ? this.#promote(change) : this.#add(change, member);
      }
      case MemberChangeType.updateNode:
        return this.#update(change, decodeContext(change).member);
      case MemberChangeType.removeNode:
        return this.#remove(change);
      default:
        throw new CorruptionError("raft log", 0, `configuration change of type ${change.type}`);
    }
  }

  /** A member publishes its name and client URLs. An unknown member changes nothing. */
  setAttributes(id: bigint, name: string, clientUrls: readonly string[]): boolean {
    const member = this.#members.get(id);
    if (member === undefined) return false;
    this.#store({ ...member, name, clientUrls: [...clientUrls] });
    return true;
  }

  setClusterVersion(version: string): void {
    this.#clusterVersion = version;
    this.#backend.put("cluster", clusterVersionKey, utf8ToBytes(version));
  }

  setDowngrade(downgrade: Downgrade): void {
    this.#downgrade = downgrade;
    const target = quoteJson(downgrade.targetVersion);
    const json = `{"target-version":${target},"enabled":${downgrade.enabled}}`;
    this.#backend.put("cluster", downgradeKey, utf8ToBytes(json));
  }

  /** Stores members without a log entry: a new cluster's first ones, or those of a restored snapshot. */
  replaceAll(members: readonly Member[]): void {
    for (const id of this.#members.keys()) this.#backend.delete("members", memberKey(id));
    for (const id of this.#removed) this.#backend.delete("members_removed", memberKey(id));
    this.#members.clear();
    this.#removed.clear();
    for (const member of members) this.#store(member);
  }

  restore(): void {
    this.#scan("members", (_key, value) => {
      const member = memberOf(parseJson(bytesToUtf8(value)));
      this.#members.set(member.id, member);
    });
    this.#scan("members_removed", (key) => {
      this.#removed.add(BigInt(`0x${bytesToUtf8(key)}`));
    });
    const version = this.#backend.get("cluster", clusterVersionKey);
    if (version !== undefined) this.#clusterVersion = bytesToUtf8(version);
    const downgrade = this.#backend.get("cluster", downgradeKey);
    if (downgrade !== undefined) this.#downgrade = decodeDowngrade(downgrade);
  }

  #add(change: MemberChange, member: Member): ConfChangeOutcome {
    const { id } = member;
    if (this.#removed.has(id)) return this.#refuse(change, "memberNotFound");
    if (this.#members.has(id)) return this.#refuse(change, "memberExist");
    if (this.#urlsInUse(member)) return this.#refuse(change, "peerUrlExist");
    const isLearner = change.type === MemberChangeType.addLearnerNode;
    if (isLearner && member.isLearner) {
      let learners = 1;
      for (const other of this.#members.values()) if (other.isLearner) learners++;
      if (learners > this.#learnersMax) return this.#refuse(change, "tooManyLearners");
    }
    this.#store(member);
    return this.#done(change, "added", member);
  }

  #promote(change: MemberChange): ConfChangeOutcome {
    const member = this.#members.get(change.nodeId);
    if (member === undefined) return this.#refuse(change, "memberNotFound");
    if (!member.isLearner) return this.#refuse(change, "memberNotLearner");
    const promoted = { ...member, isLearner: false };
    this.#store(promoted);
    return this.#done(change, "promoted", promoted);
  }

  #update(change: MemberChange, update: Member): ConfChangeOutcome {
    const member = this.#members.get(change.nodeId);
    if (member === undefined) return this.#refuse(change, "memberNotFound");
    if (this.#urlsInUse(update)) return this.#refuse(change, "peerUrlExist");
    const updated = { ...member, peerUrls: update.peerUrls };
    this.#store(updated);
    return this.#done(change, "updated", updated);
  }

  #remove(change: MemberChange): ConfChangeOutcome {
    const member = this.#members.get(change.nodeId);
    if (member === undefined) return this.#refuse(change, "memberNotFound");
    this.#members.delete(member.id);
    this.#removed.add(member.id);
    this.#backend.delete("members", memberKey(member.id));
    this.#backend.put("members_removed", memberKey(member.id), removedMark);
    return this.#done(change, "removed", member);
  }

  /** One of the URLs belongs to another member. */
  #urlsInUse(member: Member): boolean {
    for (const other of this.#members.values()) {
      if (other.id === member.id) continue;
      if (other.peerUrls.some((url) => member.peerUrls.includes(url))) return true;
    }
    return false;
  }

  #store(member: Member): void {
    this.#members.set(member.id, member);
    this.#backend.put("members", memberKey(member.id), utf8ToBytes(memberJson(member)));
  }

  #done(change: MemberChange, kind: MemberChangeKind, member: Member): ConfChangeOutcome {
    return { error: undefined, kind, raftChange: change, member, members: this.list() };
  }

  #refuse(change: MemberChange, error: ErrorCode): ConfChangeOutcome {
    return {
      error,
      kind: "none",
      raftChange: { ...change, nodeId: 0n },
      member: undefined,
      members: this.list(),
    };
  }

  #scan(bucket: "members" | "members_removed", visit: (key: Bytes, value: Bytes) => void): void {
    try {
      this.#backend.scan(
        bucket,
        emptyBytes,
        undefined,
        Number.MAX_SAFE_INTEGER,
        (key, value): undefined => visit(key, value) as undefined,
      );
    } catch (cause) {
      if (!(cause instanceof JsonError || cause instanceof SyntaxError)) throw cause;
      throw new CorruptionError(`bucket ${bucket}`, 0, "undecodable member", { cause });
    }
  }
}

/**
 * What a change gives its member, as far as `Members.change` can carry it out or can say why not; undefined when
 * it can do neither.
 */
export function readMemberChange(change: MemberChange): MemberChangeContent | undefined {
  switch (change.type) {
    case MemberChangeType.removeNode:
      return { peerUrls: undefined };
    case MemberChangeType.addNode:
    case MemberChangeType.addLearnerNode:
    case MemberChangeType.updateNode:
      break;
    default:
      return undefined;
  }
  try {
    const { member, isPromote } = decodeContext(change);
    if (change.type === MemberChangeType.updateNode) return member;
    // What raft makes of it and what the list of members says must be the same.
    const isLearner = change.type === MemberChangeType.addLearnerNode;
    if (member.isLearner !== isLearner) return undefined;
    if (!isPromote) return member;
    return isLearner ? undefined : { peerUrls: undefined };
  } catch (error) {
    if (!(error instanceof CorruptionError)) throw error;
    return undefined;
  }
}

/** The context of a configuration change that adds, updates or promotes `member`. */
export function encodeMemberContext(member: Member): Bytes {
  return utf8ToBytes(memberJson(member));
}

/** The context of a promotion: of the member only the id counts. */
export function encodePromoteContext(id: bigint): Bytes {
  return utf8ToBytes(`{"id":${id},"peerURLs":null,"isPromote":true}`);
}

function decodeContext(change: MemberChange): { member: Member; isPromote: boolean } {
  try {
    const json = parseJson(bytesToUtf8(change.context));
    const member = memberOf(json);
    if (member.id !== change.nodeId) throw new JsonError("id differs from the node of the change");
    return { member, isPromote: json.flag("isPromote") };
  } catch (cause) {
    if (!(cause instanceof JsonError)) throw cause;
    throw new CorruptionError("raft log", 0, "undecodable member in a configuration change", {
      cause,
    });
  }
}

function decodeDowngrade(value: Bytes): Downgrade {
  try {
    const json = parseJson(bytesToUtf8(value));
    return { enabled: json.flag("enabled"), targetVersion: json.text("target-version") };
  } catch (cause) {
    if (!(cause instanceof JsonError)) throw cause;
    throw new CorruptionError("bucket cluster", 0, "undecodable downgrade", { cause });
  }
}

function memberOf(json: JsonObject): Member {
  return {
    id: json.uint64("id"),
    peerUrls: json.texts("peerURLs"),
    isLearner: json.flag("isLearner"),
    name: json.text("name"),
    clientUrls: json.texts("clientURLs"),
  };
}

function memberJson(member: Member): string {
  const urls = (list: readonly string[]): string => `[${list.map(quoteJson).join(",")}]`;
  return (
    `{"id":${member.id},"peerURLs":${urls(member.peerUrls)}` +
    (member.isLearner ? ',"isLearner":true' : "") +
    (member.name === "" ? "" : `,"name":${quoteJson(member.name)}`) +
    (member.clientUrls.length === 0 ? "" : `,"clientURLs":${urls(member.clientUrls)}`) +
    "}"
  );
}

function memberKey(id: bigint): Bytes {
  return utf8ToBytes(id.toString(16));
}

function ascending(a: bigint, b: bigint): number {
  return a < b ? -1 : a > b ? 1 : 0;
}
