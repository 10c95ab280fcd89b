// One change of one key, as watchers see it.

import type { Bytes, Key } from "@etcd-ts/base";

export const EventType = { put: 0, delete: 1 } as const;
export type EventType = (typeof EventType)[keyof typeof EventType];

export class KvEvent {
  readonly type: EventType;
  readonly key: Key;
  /** An encoded `mvccpb.KeyValue`: all of it for a put, key and mod_revision for a delete. Never changed. */
  readonly kv: Bytes;
  readonly modRevision: number;
  /** Position of the change within its revision. */
  readonly sub: number;
  /** The put that began the key's present life; 0 for a delete. */
  readonly createRevision: number;

  constructor(
    type: EventType,
    key: Key,
    kv: Bytes,
    modRevision: number,
    sub: number,
    createRevision: number,
  ) {
    this.type = type;
    this.key = key;
    this.kv = kv;
    this.modRevision = modRevision;
    this.sub = sub;
    this.createRevision = createRevision;
  }

  /** There was no such key before: there is no previous KeyValue to ask for. */
  get isCreate(): boolean {
    return this.type === EventType.put && this.createRevision === this.modRevision;
  }
}
