export { Alarms } from "./alarms.ts";
export type { MachineOptions } from "./applier.ts";
export { type AppliedEntry, ApplyOutcome } from "./apply-outcome.ts";
export type { AuthModule, LoggedOperation } from "./auth-module.ts";
export {
  type Backend,
  type BackendReader,
  type BackendView,
  type BucketName,
  bucketNames,
  type ContentSink,
  type Visit,
  type VisitSpans,
} from "./backend.ts";
export { Compaction } from "./compaction.ts";
export { isOldStoreRequest, isRequest, Operation } from "./envelope.ts";
export { EventsJob } from "./events-job.ts";
export { HashJob } from "./hash-job.ts";
export { HashKvJob, type KnownHash } from "./hash-kv.ts";
export { Interval, toInterval } from "./intervals.ts";
export { finish, type Job, type RangeJob, type ReadJob } from "./job.ts";
export { encodeDeletedKeyValue, encodeKeyValue, KvFields } from "./kv-codec.ts";
export { EventType, KvEvent } from "./kv-event.ts";
export { KvField, KvList } from "./kv-list.ts";
export { checkLeaseRecord, Lease, Leases, leaseTtlMax } from "./leases.ts";
export { Machine, MachineOpening, openMachine } from "./machine.ts";
export {
  type ConfChangeOutcome,
  type Downgrade,
  encodeMemberContext,
  encodePromoteContext,
  type Member,
  type MemberChange,
  type MemberChangeKind,
  MemberChangeType,
  Members,
  readMemberChange,
} from "./members.ts";
export type { MachineConfState } from "./meta.ts";
export type { MachineObserver } from "./observer.ts";
export { leaseGrantCost, putCost, txnCost } from "./quota.ts";
export {
  encodeDeleteRangeResponse,
  encodePutResponse,
  encodeRangeResponse,
  encodeRangeStreamChunk,
  encodeRangeStreamEnd,
  encodeTxnResponse,
  HeaderEncoder,
} from "./response-encoders.ts";
export {
  type Alarm,
  AlarmResult,
  type ApplyResult,
  AuthResult,
  CompactResult,
  DeleteResult,
  LeaseCheckpointResult,
  LeaseGrantResult,
  LeaseRevokeResult,
  NoResult,
  type OpResult,
  PutResult,
  RangeResult,
  TxnResult,
} from "./results.ts";
export { encodeRevisionKey, encodeTombstoneKey, isRevisionKey } from "./revision-key.ts";
