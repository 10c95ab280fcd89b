// What a caller may meet: `ApiError` for every answer that etcd has a constant for, whatever its gRPC code
// (some travel with the wrong one), `RpcError` for everything else, and the reason of the caller's own
// signal.

import { ApiError, errorCodeOf, errorRows, goNameOf, type WatchResponse } from "@etcd-ts/api";
import { RpcError, Status } from "@etcd-ts/rpc";

/** Texts after which a fresh token may help. */
const tokenProblems: ReadonlySet<string> = new Set([
  "etcdserver: invalid auth token",
  "etcdserver: revision of auth store is old",
  "etcdserver: user name is empty",
]);

export function isTokenProblem(error: Error): boolean {
  return tokenProblems.has(error.message);
}

/** The typed error of a failed call; `cause` keeps what came over the wire. */
export function toClientError(error: RpcError): ApiError | RpcError {
  return typedError(error.message, error) ?? error;
}

/** A watch (or a read) from before what the member still has. */
export class CompactedError extends ApiError {
  /** The oldest revision to start again from is the one after this. */
  readonly compactRevision: number;

  constructor(compactRevision: number) {
    super("compacted");
    this.compactRevision = compactRevision;
  }
}

/** Why a member ended a watch. */
export function watchError(response: WatchResponse): ApiError | RpcError {
  if (response.compactRevision !== 0) return new CompactedError(response.compactRevision);
  const reason = response.cancelReason;
  if (reason === "") return new ApiError("futureRev");
  if (reason === errorRows.compacted.message) return new CompactedError(0);
  // A refusal by the access control comes as Go prints a status.
  const text = /^rpc error: code = [A-Za-z]+ desc = (.*)$/s.exec(reason)?.[1] ?? reason;
  return typedError(text) ?? new RpcError(Status.failedPrecondition, reason);
}

function typedError(text: string, cause?: Error): ApiError | undefined {
  const code = errorCodeOf(text);
  if (code === undefined || !errorRows[code].typed) return undefined;
  return new ApiError(code, cause === undefined ? undefined : { cause });
}

/** How Go prints a failed call: `rpc error: code = Unavailable desc = …`. */
export function rpcErrorText(error: RpcError): string {
  return `rpc error: code = ${goNameOf(error.code)} desc = ${error.message}`;
}
