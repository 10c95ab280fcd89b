// This version does not serve authentication. An operation of it that stands in the log came from a member
// that does; passing over it would let this member serve to everybody what is to be protected, and its
// state differ from that of the others. So the member ends, with a message that says what to do.

import type { Bytes } from "@etcd-ts/base";
import { operationOf } from "./envelope.ts";

const authEnable = 1000;
const authDisable = 1011;
/** Users and roles; those in between that change nothing do no harm. */
const firstUserChange = 1100;
const lastRoleChange = 1204;
const harmless: ReadonlySet<number> = new Set([1102, 1106, 1107, 1202]);

export class AuthUnsupportedError extends Error {
  override readonly name = "AuthUnsupportedError";
}

/** Throws when a state that came from the leader has authentication on. */
export function refuseAuthState(isEnabled: boolean, dataDir: string): void {
  if (!isEnabled) return;
  throw new AuthUnsupportedError(
    "the snapshot that was received from the leader has authentication enabled, which this version does not serve: " +
      "this member cannot go on in this cluster. Replace it by one that does (`etcdctl member remove` on another " +
      `member), or disable it (\`etcdctl auth disable\`) and start this one with an empty data directory instead of ${dataDir}`,
  );
}

/** Whether the entry changes anything about authentication. Looks at one byte of all others. */
export function isAuthChange(data: Bytes): boolean {
  // Fields above 100 come behind the header, whose tag begins so; those of ordinary requests come before it.
  if (data[0] !== 0xa2) return false;
  const operation = operationOf(data);
  return (
    operation === authEnable ||
    operation === authDisable ||
    (operation >= firstUserChange && operation <= lastRoleChange && !harmless.has(operation))
  );
}

/** Throws when the entry changes anything about authentication. */
export function refuseAuthChange(data: Bytes, index: number): void {
  if (!isAuthChange(data)) return;
  const operation = operationOf(data);
  throw new AuthUnsupportedError(
    `entry ${index} of the log ${operation === authEnable ? "enables authentication" : "changes users, roles or authentication"} ` +
      `(operation ${operation}), which this version does not serve: this member cannot go on in this ` +
      "cluster. Replace it by one that does (`etcdctl member remove` on another member), or take it " +
      "back on the others and restore this one from a snapshot that was saved before",
  );
}
