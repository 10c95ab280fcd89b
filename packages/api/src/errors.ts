// The error catalogue: everything a caller may meet, with the exact text, because etcd's clients know
// errors by their text and not by their code. A code name is etcd's constant without `ErrGRPC`.
//
// Two rows leave a server with another status than the catalogue gives: stock servers answer UNKNOWN with
// the same text there, and clients make the catalogue's status of it again. `wireStatus` is what a server
// answers, `status` what a caller sees.

import { GrpcStatus, goNameOf } from "./grpc-status.ts";

export type ErrorCode =
  | "emptyKey"
  | "keyNotFound"
  | "valueProvided"
  | "leaseProvided"
  | "tooManyOps"
  | "duplicateKey"
  | "invalidClientApiVersion"
  | "invalidSortOption"
  | "compacted"
  | "futureRev"
  | "noSpace"
  | "leaseNotFound"
  | "leaseExist"
  | "leaseTtlTooLarge"
  | "watchCanceled"
  | "memberExist"
  | "peerUrlExist"
  | "memberNotEnoughStarted"
  | "memberBadUrls"
  | "memberNotFound"
  | "memberNotLearner"
  | "learnerNotReady"
  | "tooManyLearners"
  | "clusterIdMismatch"
  | "requestTooLarge"
  | "tooManyRequests"
  | "rootUserNotExist"
  | "rootRoleNotExist"
  | "userAlreadyExist"
  | "userEmpty"
  | "userNotFound"
  | "roleAlreadyExist"
  | "roleNotFound"
  | "roleEmpty"
  | "authFailed"
  | "permissionNotGiven"
  | "permissionDenied"
  | "roleNotGranted"
  | "permissionNotGranted"
  | "authNotEnabled"
  | "invalidAuthToken"
  | "invalidAuthMgmt"
  | "authOldRevision"
  | "noLeader"
  | "notLeader"
  | "leaderChanged"
  | "notCapable"
  | "stopped"
  | "timeout"
  | "timeoutDueToLeaderFail"
  | "timeoutDueToConnectionLost"
  | "timeoutWaitAppliedIndex"
  | "unhealthy"
  | "corrupt"
  | "notSupportedForLearner"
  | "badLeaderTransferee"
  | "wrongDowngradeVersionFormat"
  | "invalidDowngradeTargetVersion"
  | "clusterVersionUnavailable"
  | "downgradeInProcess"
  | "noInflightDowngrade"
  | "canceled"
  | "deadlineExceeded"
  | "contextCanceled"
  | "contextDeadlineExceeded"
  | "passwordForNoPasswordUser"
  | "tokenVerifyOnly"
  | "notPrimaryLessor"
  | "proposalDropped"
  | "leaderTransferTimeout"
  | "unknownMethod"
  | "passwordTooLong"
  | "mutexSessionExpired"
  | "electionNoLeader"
  | "electionNotLeader"
  | "electionLeaderMissing"
  | "rangeStreamSortOrder"
  | "rangeStreamFilter"
  | "unknownHealthService";

export interface ErrorRow {
  readonly status: GrpcStatus;
  readonly message: string;
  /** The status that a server answers with. */
  readonly wireStatus: GrpcStatus;
  /** etcd's Go client turns the text into an error value of its own. */
  readonly typed: boolean;
}

/** A row that etcd's Go client knows. */
function typed(status: GrpcStatus, message: string, wireStatus: GrpcStatus = status): ErrorRow {
  return { status, message, wireStatus, typed: true };
}

function untyped(status: GrpcStatus, message: string): ErrorRow {
  return { status, message, wireStatus: status, typed: false };
}

export const errorRows: Readonly<Record<ErrorCode, ErrorRow>> = {
  emptyKey: typed(GrpcStatus.invalidArgument, "etcdserver: key is not provided"),
  keyNotFound: typed(GrpcStatus.invalidArgument, "etcdserver: key not found"),
  valueProvided: typed(GrpcStatus.invalidArgument, "etcdserver: value is provided"),
  leaseProvided: typed(GrpcStatus.invalidArgument, "etcdserver: lease is provided"),
  tooManyOps: typed(GrpcStatus.invalidArgument, "etcdserver: too many operations in txn request"),
  duplicateKey: typed(GrpcStatus.invalidArgument, "etcdserver: duplicate key given in txn request"),
  invalidClientApiVersion: untyped(
    GrpcStatus.invalidArgument,
    "etcdserver: invalid client api version",
  ),
  invalidSortOption: typed(GrpcStatus.invalidArgument, "etcdserver: invalid sort option"),
  compacted: typed(GrpcStatus.outOfRange, "etcdserver: mvcc: required revision has been compacted"),
  futureRev: typed(
    GrpcStatus.outOfRange,
    "etcdserver: mvcc: required revision is a future revision",
  ),
  noSpace: typed(GrpcStatus.resourceExhausted, "etcdserver: mvcc: database space exceeded"),
  leaseNotFound: typed(GrpcStatus.notFound, "etcdserver: requested lease not found"),
  leaseExist: typed(GrpcStatus.failedPrecondition, "etcdserver: lease already exists"),
  leaseTtlTooLarge: typed(GrpcStatus.outOfRange, "etcdserver: too large lease TTL"),
  watchCanceled: untyped(GrpcStatus.cancelled, "etcdserver: watch canceled"),
  memberExist: typed(GrpcStatus.failedPrecondition, "etcdserver: member ID already exist"),
  peerUrlExist: typed(GrpcStatus.failedPrecondition, "etcdserver: Peer URLs already exists"),
  memberNotEnoughStarted: typed(
    GrpcStatus.failedPrecondition,
    "etcdserver: re-configuration failed due to not enough started members",
    GrpcStatus.unknown,
  ),
  memberBadUrls: typed(GrpcStatus.invalidArgument, "etcdserver: given member URLs are invalid"),
  memberNotFound: typed(GrpcStatus.notFound, "etcdserver: member not found"),
  memberNotLearner: typed(
    GrpcStatus.failedPrecondition,
    "etcdserver: can only promote a learner member",
  ),
  learnerNotReady: typed(
    GrpcStatus.failedPrecondition,
    "etcdserver: can only promote a learner member which is in sync with leader",
  ),
  tooManyLearners: typed(
    GrpcStatus.failedPrecondition,
    "etcdserver: too many learner members in cluster",
  ),
  clusterIdMismatch: typed(GrpcStatus.failedPrecondition, "etcdserver: cluster ID mismatch"),
  requestTooLarge: typed(GrpcStatus.invalidArgument, "etcdserver: request is too large"),
  tooManyRequests: typed(
    GrpcStatus.resourceExhausted,
    "etcdserver: too many requests",
    GrpcStatus.unknown,
  ),
  rootUserNotExist: typed(GrpcStatus.failedPrecondition, "etcdserver: root user does not exist"),
  rootRoleNotExist: typed(
    GrpcStatus.failedPrecondition,
    "etcdserver: root user does not have root role",
  ),
  userAlreadyExist: typed(GrpcStatus.failedPrecondition, "etcdserver: user name already exists"),
  userEmpty: typed(GrpcStatus.invalidArgument, "etcdserver: user name is empty"),
  userNotFound: typed(GrpcStatus.failedPrecondition, "etcdserver: user name not found"),
  roleAlreadyExist: typed(GrpcStatus.failedPrecondition, "etcdserver: role name already exists"),
  roleNotFound: typed(GrpcStatus.failedPrecondition, "etcdserver: role name not found"),
  roleEmpty: typed(GrpcStatus.invalidArgument, "etcdserver: role name is empty"),
  authFailed: typed(
    GrpcStatus.invalidArgument,
    "etcdserver: authentication failed, invalid user ID or password",
  ),
  permissionNotGiven: untyped(GrpcStatus.invalidArgument, "etcdserver: permission not given"),
  permissionDenied: typed(GrpcStatus.permissionDenied, "etcdserver: permission denied"),
  roleNotGranted: typed(
    GrpcStatus.failedPrecondition,
    "etcdserver: role is not granted to the user",
  ),
  permissionNotGranted: typed(
    GrpcStatus.failedPrecondition,
    "etcdserver: permission is not granted to the role",
  ),
  authNotEnabled: typed(GrpcStatus.failedPrecondition, "etcdserver: authentication is not enabled"),
  invalidAuthToken: typed(GrpcStatus.unauthenticated, "etcdserver: invalid auth token"),
  invalidAuthMgmt: typed(GrpcStatus.invalidArgument, "etcdserver: invalid auth management"),
  authOldRevision: typed(GrpcStatus.invalidArgument, "etcdserver: revision of auth store is old"),
  noLeader: typed(GrpcStatus.unavailable, "etcdserver: no leader"),
  notLeader: typed(GrpcStatus.failedPrecondition, "etcdserver: not leader"),
  leaderChanged: typed(GrpcStatus.unavailable, "etcdserver: leader changed"),
  notCapable: typed(GrpcStatus.failedPrecondition, "etcdserver: not capable"),
  stopped: typed(GrpcStatus.unavailable, "etcdserver: server stopped"),
  timeout: typed(GrpcStatus.unavailable, "etcdserver: request timed out"),
  timeoutDueToLeaderFail: typed(
    GrpcStatus.unavailable,
    "etcdserver: request timed out, possibly due to previous leader failure",
  ),
  timeoutDueToConnectionLost: typed(
    GrpcStatus.unavailable,
    "etcdserver: request timed out, possibly due to connection lost",
  ),
  timeoutWaitAppliedIndex: untyped(
    GrpcStatus.unavailable,
    "etcdserver: request timed out, waiting for the applied index took too long",
  ),
  unhealthy: typed(GrpcStatus.unavailable, "etcdserver: unhealthy cluster"),
  corrupt: typed(GrpcStatus.dataLoss, "etcdserver: corrupt cluster"),
  notSupportedForLearner: typed(
    GrpcStatus.failedPrecondition,
    "etcdserver: rpc not supported for learner",
  ),
  badLeaderTransferee: typed(GrpcStatus.failedPrecondition, "etcdserver: bad leader transferee"),
  wrongDowngradeVersionFormat: typed(
    GrpcStatus.invalidArgument,
    "etcdserver: wrong downgrade target version format",
  ),
  invalidDowngradeTargetVersion: typed(
    GrpcStatus.invalidArgument,
    "etcdserver: invalid downgrade target version",
  ),
  clusterVersionUnavailable: typed(
    GrpcStatus.failedPrecondition,
    "etcdserver: cluster version not found during downgrade",
  ),
  downgradeInProcess: typed(
    GrpcStatus.failedPrecondition,
    "etcdserver: cluster has a downgrade job in progress",
  ),
  noInflightDowngrade: typed(
    GrpcStatus.failedPrecondition,
    "etcdserver: no inflight downgrade job",
  ),
  canceled: untyped(GrpcStatus.cancelled, "etcdserver: request canceled"),
  deadlineExceeded: untyped(GrpcStatus.deadlineExceeded, "etcdserver: context deadline exceeded"),

  // Errors that are no constants of etcd's, but come out of the layers beneath.
  contextCanceled: untyped(GrpcStatus.cancelled, "context canceled"),
  contextDeadlineExceeded: untyped(GrpcStatus.deadlineExceeded, "context deadline exceeded"),
  passwordForNoPasswordUser: untyped(
    GrpcStatus.unknown,
    "auth: authentication failed, password was given for no password user",
  ),
  tokenVerifyOnly: untyped(
    GrpcStatus.unknown,
    "auth: token signing attempted with verify-only key",
  ),
  notPrimaryLessor: untyped(GrpcStatus.unknown, "not a primary lessor"),
  proposalDropped: untyped(GrpcStatus.unknown, "raft proposal dropped"),
  leaderTransferTimeout: untyped(
    GrpcStatus.unknown,
    "etcdserver: request timed out, leader transfer took too long",
  ),
  unknownMethod: untyped(GrpcStatus.unknown, "etcdserver: unknown method"),
  passwordTooLong: untyped(GrpcStatus.unknown, "bcrypt: password length exceeds 72 bytes"),
  mutexSessionExpired: untyped(GrpcStatus.unknown, "mutex: session is expired"),
  electionNoLeader: untyped(GrpcStatus.unknown, "election: no leader"),
  electionNotLeader: untyped(GrpcStatus.unknown, "election: not leader"),
  electionLeaderMissing: untyped(GrpcStatus.unknown, '"leader" field must be provided'),
  rangeStreamSortOrder: untyped(
    GrpcStatus.unimplemented,
    "RangeStream does not support custom sort orders",
  ),
  rangeStreamFilter: untyped(
    GrpcStatus.unimplemented,
    "RangeStream does not support revision filters",
  ),
  unknownHealthService: untyped(GrpcStatus.notFound, "unknown service"),
};

/** An answer that is an error. `cause` keeps where it came from. */
export class ApiError extends Error {
  override readonly name = "ApiError";
  readonly code: ErrorCode;
  readonly status: GrpcStatus;

  constructor(code: ErrorCode, options?: ErrorOptions) {
    super(errorRows[code].message, options);
    this.code = code;
    this.status = errorRows[code].status;
  }
}

let codesByMessage: ReadonlyMap<string, ErrorCode> | undefined;

/**
 * The row with exactly this text, as a client looks up the message of a failed call; whatever status came
 * with it does not matter. A caller who
 * wants only what etcd's own client recognises looks at the row's `typed`.
 */
export function errorCodeOf(message: string): ErrorCode | undefined {
  codesByMessage ??= new Map(
    (Object.entries(errorRows) as [ErrorCode, ErrorRow][]).map(([code, row]) => [
      row.message,
      code,
    ]),
  );
  return codesByMessage.get(message);
}

/** Reasons in `WatchResponse.cancel_reason` that are no messages of rows above. */
export const WatchCancelReason = {
  rangeEmpty: "mvcc: watcher range is empty",
  duplicateId: "mvcc: duplicate watch ID provided on the WatchStream",
} as const;

/** An error as Go prints a gRPC status, which is how refused watches carry theirs. */
export function goStatusText(code: ErrorCode): string {
  const { status, message } = errorRows[code];
  return `rpc error: code = ${goNameOf(status)} desc = ${message}`;
}
