// Errors as etcdctl words them.

import { ApiError } from "@etcd-ts/api";
import { EndpointError, rpcErrorText } from "@etcd-ts/client";
import { RpcError, Status } from "@etcd-ts/rpc";
import { ExitCode, Failure } from "../shared/exit.ts";

/**
 * The text after `Error: `: the message of a known answer alone, "context deadline exceeded" when the
 * command's own time was up, otherwise the whole status as Go prints it.
 */
export function messageOf(error: unknown): string {
  if (error instanceof ApiError) return error.message;
  if (error instanceof RpcError) {
    // A member may notice before we do that the time is over, and then calls it cancelled.
    if (error.code === Status.deadlineExceeded || error.code === Status.cancelled) {
      return "context deadline exceeded";
    }
    return rpcErrorText(error);
  }
  return error instanceof Error ? error.message : String(error);
}

/** Whether no member was reached at all. */
export function isNotConnected(error: unknown): boolean {
  return (
    error instanceof RpcError && /waiting for connections|^latest balancer/.test(error.message)
  );
}

/** Whether the error is an answer or a failure of a call, rather than a bug of ours. */
export function isCallError(error: unknown): boolean {
  return error instanceof ApiError || error instanceof RpcError || error instanceof EndpointError;
}

/** The failure of a command whose call failed; bugs and failures that are one already pass through. */
export function callFailure(
  error: unknown,
  exitCode: number = ExitCode.error,
  wrap: (message: string) => string = (message) => message,
): unknown {
  return isCallError(error)
    ? new Failure(exitCode, wrap(messageOf(error)), { cause: error })
    : error;
}
