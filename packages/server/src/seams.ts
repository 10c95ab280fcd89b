// The seams between the member and the parts that live beside its replica loop: the watch hub and the lease
// keeper. A part is made with a `MemberContext` (what the member offers) and hands back a `MemberPart` (what
// the member expects of it).
//
//     export function createWatchPart(context: MemberContext): MemberPart      packages/server/src/watch
//     export function createLeasePart(context: MemberContext): MemberPart      packages/server/src/lease
//
// Everything runs on one event loop. Observer calls (`changed`, `leaseGranted`, …) come from inside an apply:
// a part only takes notes there, and does its work in `turnEnded`, in a job of the slicer or in a timer.

import type { LeaseTimeToLiveRequest, LeaseTimeToLiveResponse } from "@etcd-ts/api";
import type { Host } from "@etcd-ts/base";
import type {
  BackendView,
  HeaderEncoder,
  Machine,
  MachineObserver,
  ReadJob,
} from "@etcd-ts/machine";
import type { MethodTable, ServerCall } from "@etcd-ts/rpc";
import type { MemberConfig } from "./config.ts";
import type { Operation } from "./envelope.ts";
import type { CallGate } from "./gate.ts";
import type { HeaderSource } from "./header.ts";
import type { RequestIds } from "./ids.ts";
import type { LeaderCalls } from "./leader-calls.ts";
import type { MetricFamily } from "./metric-types.ts";
import type { LeaseFailure } from "./peers/index.ts";
import type { Proposal } from "./proposals.ts";
import type { Quota } from "./quota.ts";
import type { Reader } from "./reads.ts";
import type { Refusal } from "./refusals.ts";
import type { RequestTimes } from "./request-times.ts";
import type { Slicer } from "./slicer.ts";
import type { StoreCounts } from "./store-counts.ts";

/** What the member offers to its services and parts. */
export interface MemberContext {
  readonly host: Host;
  readonly config: MemberConfig;
  readonly memberId: bigint;
  readonly clusterId: bigint;
  readonly machine: Machine;
  readonly slicer: Slicer;
  readonly requestIds: RequestIds;
  readonly quota: Quota;
  readonly counts: StoreCounts;
  readonly times: RequestTimes;
  /** The checks that come before every call: capability, learner, api version, leader. */
  readonly gate: CallGate;
  /** cluster_id, member_id and raft_term of response headers. */
  readonly header: HeaderSource;
  /** The same for the encoders of the machine. */
  readonly encoder: HeaderEncoder;
  /** Term of the last entry that this member applied. */
  readonly raftTerm: number;
  /** This member leads, as far as it knows; only ReadIndex proves it. */
  readonly isLeader: boolean;
  /** 0n: unknown. */
  readonly leaderId: bigint;
  readonly term: number;
  readonly commitIndex: number;
  readonly appliedIndex: number;
  readonly isStopping: boolean;
  /**
   * Sends a request through the log. `request` is the encoded request message, which the caller has
   * validated and which is copied; `proposal` is told once, in order of the log. A refusal (stopping, too
   * large, too many) comes from inside.
   */
  propose(operation: Operation, request: Uint8Array, proposal: Proposal): void;
  /** Takes a proposal back if it is not on its way yet; it is refused with this. */
  withdraw(proposal: Proposal, refusal: Refusal): void;
  /** Questions that only the leader can answer. */
  readonly leaderCalls: LeaderCalls;
  /** Tells `reader` once local reads are linearizable. */
  linearize(reader: Reader): void;
  /** Whether a write of this cost fits under the quota. If not, the NOSPACE alarm is raised. */
  admits(costBytes: number): boolean;
  /** Runs a job in slices for a call; cancels it when the caller goes away. */
  runForCall(call: ServerCall, job: ReadJob, done: () => void): void;
  /**
   * Calls back once all compactions that are scheduled now have removed what they should, durably; with
   * false when the member stops before.
   */
  afterCompactions(done: (durable: boolean) => void): void;
  defragment(): Promise<void>;
  /** A view of the store as of now. Close it; a stopping member closes it all the same. */
  view(): Promise<BackendView>;
  /** Something happened that must not happen: the member stops, nothing is acknowledged any more. */
  readonly fatal: (error: Error) => void;
  /** A turn of the replica loop soon (and with it `turnEnded`). */
  wake(): void;
}

/** What the member expects of a part. All but `methods` and `stop` may be absent. */
export interface MemberPart extends MachineObserver {
  /** Paths that the part serves, for the rpc server; already behind the gate. */
  readonly methods: MethodTable;
  readonly metrics?: readonly MetricFamily[];
  /** Everything that a turn applied has been observed, and its proposals answered. */
  turnEnded?(): void;
  /**
   * The first entry of our own term as leader is applied: from now on this member counts leases down.
   * Called again with every term that it wins.
   */
  leadershipEstablished?(): void;
  /** This member no longer leads (or never did since the last call). */
  leadershipLost?(): void;
  /** As the primary lessor; for other members. */
  renewLease?(id: bigint): Promise<bigint | LeaseFailure>;
  leaseTimeToLive?(
    request: LeaseTimeToLiveRequest,
  ): Promise<LeaseTimeToLiveResponse | LeaseFailure>;
  /**
   * The member stops in good order, and the log still works: whatever must be written before. Calls back
   * once.
   */
  prepareStop?(done: () => void): void;
  /** Ends all streams (UNAVAILABLE, "etcdserver: server stopped") and cancels timers. */
  stop(): void;
}
