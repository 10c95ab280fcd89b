// Hot path: what a log entry asks for. An entry is an `InternalRaftRequest` with one operation set, or (from
// etcd 3.4 to 3.6) a bare request of the old v2 store. Only the operation's field is found here; its
// message is decoded by who carries it out, from the same bytes.
//
// Both forms have a field 2. In an InternalRaftRequest it is a message, in a bare v2 request it is the name
// of the method, and no method name is a valid message: that tells them apart (peer protocol §10.1).

import { type Bytes, CorruptionError, sliceToKey, WireError, WireReader } from "@etcd-ts/base";
import type { AppliedEntry } from "./apply-outcome.ts";

/** Field numbers of InternalRaftRequest. */
export const Operation = {
  v2: 2,
  range: 3,
  put: 4,
  deleteRange: 5,
  txn: 6,
  compaction: 7,
  leaseGrant: 8,
  leaseRevoke: 9,
  alarm: 10,
  leaseCheckpoint: 11,
  authEnable: 1000,
  authDisable: 1011,
  authenticate: 1012,
  authStatus: 1013,
  authUserAdd: 1100,
  authUserDelete: 1101,
  authUserGet: 1102,
  authUserChangePassword: 1103,
  authUserGrantRole: 1104,
  authUserRevokeRole: 1105,
  authUserList: 1106,
  authRoleList: 1107,
  authRoleAdd: 1200,
  authRoleDelete: 1201,
  authRoleGet: 1202,
  authRoleGrantPermission: 1203,
  authRoleRevokePermission: 1204,
  clusterVersionSet: 1300,
  clusterMemberAttrSet: 1301,
  downgradeInfoSet: 1302,
  downgradeVersionTest: 9900,
} as const;
export type Operation = (typeof Operation)[keyof typeof Operation];

const idField = 1;
const headerField = 100;
const v2Methods: readonly string[] = ["GET", "PUT", "POST", "DELETE", "QGET", "SYNC"];
const known: ReadonlySet<number> = new Set(Object.values(Operation));

/** Reused: valid until the next `read`. */
export class Envelope {
  /** A value of `Operation`. */
  operation = 0;
  /** Where the operation's message lies in the entry. */
  start = 0;
  end = 0;
  /** Where the RequestHeader lies; empty span when there is none. */
  headerStart = 0;
  headerEnd = 0;

  /**
   * Finds the operation; fields that we do not know are passed over. Throws `CorruptionError` for anything that no member can have proposed; carrying
   * on without it would let this member differ from the others.
   */
  read(data: Bytes, index: number): this {
    this.operation = 0;
    this.headerStart = this.headerEnd = 0;
    try {
      const reader = new WireReader(data, 0, data.length);
      while (reader.position < reader.end) {
        const tag = reader.tag();
        const field = tag >>> 3;
        if (field === idField || (tag & 7) !== 2) {
          if (known.has(field)) throw undecodable(index, `operation ${field} is no message`);
          reader.skip(tag);
          continue;
        }
        const outer = reader.open();
        const start = reader.position;
        const end = reader.end;
        reader.position = end;
        reader.close(outer);
        if (field === headerField) {
          this.headerStart = start;
          this.headerEnd = end;
        } else {
          if (field === Operation.v2 && isV2Method(data, start, end)) {
            this.operation = Operation.v2;
            this.start = 0;
            this.end = data.length;
            return this;
          }
          if (!known.has(field)) continue;
          if (this.operation !== 0) throw undecodable(index, "more than one operation");
          this.operation = field;
          this.start = start;
          this.end = end;
        }
      }
    } catch (cause) {
      if (!(cause instanceof WireError)) throw cause;
      throw undecodable(index, cause.message, cause);
    }
    if (this.operation === 0) throw undecodable(index, "no operation");
    return this;
  }
}

/** Whether an entry with these bytes could be applied, as far as its outside shows. */
export function isRequest(data: Bytes): boolean {
  try {
    scanned.read(data, 0);
  } catch (error) {
    if (!(error instanceof CorruptionError)) throw error;
    return false;
  }
  return true;
}

/** Whether an entry that was applied is a write to the old store. */
export function isOldStoreRequest({ data, index }: AppliedEntry): boolean {
  return data.length > 0 && scanned.read(data, index).operation === Operation.v2;
}

const scanned = new Envelope();

export function undecodable(index: number, what: string, cause?: Error): CorruptionError {
  return new CorruptionError("raft log", index, `entry is not a request: ${what}`, { cause });
}

function isV2Method(data: Bytes, start: number, end: number): boolean {
  return end - start <= 6 && v2Methods.includes(sliceToKey(data, start, end));
}
