// Where the links to other members meet the member that they belong to. The links know the wire and nothing
// of the state; everything that they must ask, hand over or report goes through this one interface. All of
// it is called from the event loop, never from inside a call of the links (`send`, `addPeer`, …).

import type { LeaseTimeToLiveRequest, LeaseTimeToLiveResponse } from "@etcd-ts/api";
import type { Bytes } from "@etcd-ts/base";
import type { Member } from "@etcd-ts/machine";
import type { ConfState, Message } from "@etcd-ts/raft";
import type { Refusal } from "../refusals.ts";

/** What the member gives. */
export interface PeerSeams {
  readonly memberId: bigint;
  readonly clusterId: bigint;
  /**
   * A message for raft, checked: decodable, for this member, of a kind that may come from outside. False:
   * not taken (the queue is full, the member stops); whoever sent it is told where the protocol can tell.
   */
  receive(message: Message): boolean;
  /** Messages to this peer got lost. To be stepped into raft (`RawNode.reportUnreachable`). */
  reportUnreachable(id: bigint): void;
  /**
   * How the sending of a snapshot ended (`RawNode.reportSnapshot`). For every MsgSnap, unless its peer is
   * removed or the member stops meanwhile; one sent while another is on its way shares its outcome.
   */
  reportSnapshot(id: bigint, succeeded: boolean): void;
  /** Was removed from the cluster, as of what is applied here. */
  isRemoved(id: bigint): boolean;
  /**
   * A member is there that ends when it meets a write to the old store: from now on none may be sent. Comes
   * before anything of it is received, and again whenever it has dialled.
   */
  strictMemberMet(): void;
  /** A peer says that *this* member was removed from the cluster. The member should stop. Comes once. */
  removedFromCluster(): void;
  /** The state as of now, for a peer that is too far behind. Called from the event loop, not from a turn. */
  openSnapshot(): Promise<OutgoingSnapshot>;
  /** Where received databases are put, as `<index, 16 hex digits>.snap.db`; exists. */
  readonly snapshotFolder: string;
  /**
   * Looks at a received database before raft hears of it; rejects when it is damaged or not the state at
   * `index`. What passes here must be good enough to become this member's state.
   */
  inspectDatabase(path: string, index: number): Promise<void>;
  readonly answers: PeerAnswers;
}

/** A state at one applied index, held open while it is sent. */
export interface OutgoingSnapshot {
  /** Index and term of the entry applied last, the configuration then, and the membership as v2 JSON. */
  readonly index: number;
  readonly term: number;
  readonly confState: ConfState;
  readonly data: Bytes;
  /** Writes the database file; waits for every `write` and every `pause`. Throws what the sink throws. */
  write(sink: DatabaseSink): Promise<void>;
  /** Gives the view free. Called once, always. */
  close(): void;
}

/** Takes a file in order. The same shape as the sink of storage's one-pass writer. */
export interface DatabaseSink {
  /** Before all else: how long the file will be. */
  begin(bytes: number): void;
  /** The next part, the writer's again when this resolves, which is when there is room for more. */
  write(part: Bytes): Promise<void>;
  /** Lets the event loop breathe where the writer computes for long without writing. */
  pause(): Promise<void>;
}

/** What members ask each other beside raft. Each may take a while; none may hang beyond its own timeout. */
export interface PeerAnswers {
  /** `X.Y.0`; "" until decided. */
  readonly clusterVersion: string;
  /** "" when unknown. */
  readonly storageVersion: string;
  /**
   * As applied here, ascending by id; undefined until this member has seen itself become one. A stock member that joins
   * takes the first list that it gets, and gives up for good when that is not its own.
   */
  members(): readonly Member[] | undefined;
  /** Only the leader can. `authorization`: the caller's token, where its member passed it on. */
  promote(id: bigint, authorization: string | undefined): Promise<readonly Member[] | Refusal>;
  /** A new time to live in seconds. Only the primary lessor (the leader) can; waits until it caught up. */
  renewLease(id: bigint): Promise<bigint | LeaseFailure>;
  /** The answer has an empty header. */
  leaseTimeToLive(request: LeaseTimeToLiveRequest): Promise<LeaseTimeToLiveResponse | LeaseFailure>;
  /** Hash over keys at a revision, 0 for the present one. */
  hashKv(revision: bigint): Promise<PeerHash | HashFailure>;
  /** After a linearizable read. */
  downgradeEnabled(): Promise<boolean | Refusal>;
}

export type LeaseFailure =
  | { readonly failure: "not-found" }
  /** The member could not catch up with its commit index in time. */
  | { readonly failure: "timeout" }
  | { readonly failure: "other"; readonly message: string };

export interface PeerHash {
  /** Of the store now. */
  readonly revision: number;
  readonly clusterId: bigint;
  readonly memberId: bigint;
  readonly raftTerm: number;
  readonly hash: number;
  readonly compactRevision: number;
  readonly hashRevision: number;
}

export interface HashFailure {
  readonly failure: "compacted" | "future" | "other";
  readonly message: string;
}
