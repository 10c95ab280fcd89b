// Where the auth subsystem plugs in. The machine hands it every entry of an auth operation, and asks it
// about every other request before that is carried out. Without a module auth is off: its buckets are kept
// as they are, an Authenticate answers that authentication is not enabled, and the other auth operations
// answer `notCapable`. A store in which auth was enabled must not be served then (`Machine.authEnabled`).

import type { ErrorCode } from "@etcd-ts/api";
import { type Bytes, utf8ToBytes } from "@etcd-ts/base";
import type { Backend } from "./backend.ts";
import { Operation } from "./envelope.ts";
import type { AuthResult } from "./results.ts";

/** An operation as it stands in the log: `data[start, end)` is its message. */
export interface LoggedOperation {
  readonly index: number;
  readonly operation: Operation;
  readonly data: Bytes;
  readonly start: number;
  readonly end: number;
  /** The RequestHeader, with user name and auth revision; an empty span when there is none. */
  readonly headerStart: number;
  readonly headerEnd: number;
}

export interface AuthModule {
  /** Why the user in the header may not do this; undefined when it may. Nothing has been changed yet. */
  refusal(logged: LoggedOperation): ErrorCode | undefined;
  /** Carries an auth operation out. */
  apply(logged: LoggedOperation, revision: number): AuthResult | ErrorCode;
}

export function isAuthOperation(operation: number): boolean {
  return operation >= Operation.authEnable && operation < Operation.clusterVersionSet;
}

/** The answer to an auth operation when there is no module. */
export function withoutAuth(operation: number): ErrorCode {
  return operation === Operation.authenticate ? "authNotEnabled" : "notCapable";
}

const enabledKey = utf8ToBytes("authEnabled");
const revisionKey = utf8ToBytes("authRevision");
/** What a store has that never heard of users. */
const firstRevision = 1;

export function readAuthEnabled(backend: Backend): boolean {
  return backend.get("auth", enabledKey)?.[0] === 1;
}

export function readAuthRevision(backend: Backend): number {
  const stored = backend.get("auth", revisionKey);
  if (stored === undefined || stored.length !== 8) return firstRevision;
  const view = new DataView(stored.buffer, stored.byteOffset, 8);
  return Math.max(firstRevision, Number(view.getBigUint64(0)));
}
