// Alarms that are on, by (kind, member). Bucket `alarm`: the key is the encoded AlarmMember
// (1 memberID, 2 alarm), the value is empty.

import { AlarmMember, AlarmType, decodeAlarmMember, encodeAlarmMember } from "@etcd-ts/api";
import { build, CorruptionError, emptyBytes, WireError } from "@etcd-ts/base";
import type { Backend } from "./backend.ts";
import type { Alarm } from "./results.ts";

export class Alarms {
  readonly #backend: Backend;
  /** Sorted by kind, then member. */
  readonly #alarms: Alarm[] = [];

  constructor(backend: Backend) {
    this.#backend = backend;
  }

  /** Those of a kind; of all kinds for `AlarmType.NONE`. By kind, then member. */
  list(kind: number = AlarmType.NONE): readonly Alarm[] {
    return this.#alarms.filter((alarm) => kind === AlarmType.NONE || alarm.kind === kind);
  }

  has(kind: number): boolean {
    for (const alarm of this.#alarms) if (alarm.kind === kind) return true;
    return false;
  }

  /** The alarm that is on afterwards; undefined for kind NONE. */
  activate(memberId: bigint, kind: number): Alarm | undefined {
    if (kind === AlarmType.NONE) return undefined;
    const known = this.#find(memberId, kind);
    if (known !== undefined) return known;
    const alarm: Alarm = { memberId, kind };
    this.#add(alarm);
    this.#backend.put("alarm", encode(alarm), emptyBytes);
    return alarm;
  }

  /** The alarm that was on; undefined when it was not. */
  deactivate(memberId: bigint, kind: number): Alarm | undefined {
    const alarm = this.#find(memberId, kind);
    if (alarm === undefined) return undefined;
    this.#alarms.splice(this.#alarms.indexOf(alarm), 1);
    this.#backend.delete("alarm", encode(alarm));
    return alarm;
  }

  restore(): void {
    this.#backend.scan("alarm", emptyBytes, undefined, Number.MAX_SAFE_INTEGER, (key) => {
      try {
        const { memberId, alarm } = decodeAlarmMember(key);
        this.#add({ memberId, kind: alarm });
      } catch (cause) {
        if (!(cause instanceof WireError)) throw cause;
        throw new CorruptionError("bucket alarm", 0, "undecodable alarm", { cause });
      }
      return true;
    });
  }

  #find(memberId: bigint, kind: number): Alarm | undefined {
    return this.#alarms.find((alarm) => alarm.memberId === memberId && alarm.kind === kind);
  }

  #add(alarm: Alarm): void {
    this.#alarms.push(alarm);
    this.#alarms.sort((a, b) =>
      a.kind !== b.kind ? a.kind - b.kind : a.memberId < b.memberId ? -1 : 1,
    );
  }
}

function encode(alarm: Alarm): Uint8Array {
  return encodeAlarmMember(build(AlarmMember, { memberId: alarm.memberId, alarm: alarm.kind }));
}
