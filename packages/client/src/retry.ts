// Which failed calls are tried again, and when.
//
// A call that may have reached a member is repeated only when repeating is harmless: reads are, writes are
// not (a second put is a second revision, and a second txn may answer differently). So a write is retried
// only when it was certainly never sent. Everything else is told to the caller, who alone knows whether the
// write matters. These are the rules that Go programs get from etcd's own client.

import type { Random } from "@etcd-ts/base";
import { type RpcError, Status } from "@etcd-ts/rpc";

export type RetryKind = "read" | "write";

/** Attempts of one call. */
export const attemptsMax = 100;

const backoffMs = 25;
const jitter = 0.1;

/** How the failures begin that were found before anything was sent: no connection came about. */
const neverSent = 'connection error: desc = "';

const learnerText = "etcdserver: rpc not supported for learner";

/** Whether the call may be tried again after `error`, which a member or its connection gave. */
export function mayRetry(error: RpcError, kind: RetryKind, endpointCount: number): boolean {
  // A learner refuses before it does anything; a voter will not.
  if (error.message === learnerText) return endpointCount > 1;
  if (error.code !== Status.unavailable) return false;
  return kind === "read" || error.message.startsWith(neverSent);
}

/** Waiting time before the attempt with that number: one pause per round over a quorum of endpoints. */
export function retryDelayMs(attempt: number, endpointCount: number, random: Random): number {
  const quorum = Math.floor(endpointCount / 2) + 1;
  if (attempt % quorum !== 0) return 0;
  return backoffMs * (1 - jitter + (2 * jitter * random.below(1000)) / 1000);
}

/** Codes after which streams and sessions are opened again; all others end them. */
export function isPassing(error: RpcError): boolean {
  return error.code === Status.unavailable || error.code === Status.internal;
}
