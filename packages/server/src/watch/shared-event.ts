// An event on its way to many watchers, encoded once for each of the two forms that they may want.

import type { Bytes } from "@etcd-ts/base";
import { EventType, type KvEvent } from "@etcd-ts/machine";
import { encodeEventField } from "./encoding.ts";
import type { WatchSource } from "./source.ts";

/** The encodings of an event, made when the first watcher wants them. */
export class SharedEvent {
  readonly #source: WatchSource;
  #event: KvEvent | undefined;
  #plain: Bytes | undefined;
  #withPrevious: Bytes | undefined;

  constructor(source: WatchSource) {
    this.#source = source;
  }

  /** From now on it stands for this event. */
  begin(event: KvEvent): void {
    this.#event = event;
    this.#plain = undefined;
    this.#withPrevious = undefined;
  }

  get event(): KvEvent {
    return this.#event!;
  }

  field(prevKv: boolean): Bytes {
    const { type, kv } = this.event;
    const isDelete = type === EventType.delete;
    if (!prevKv) {
      this.#plain ??= encodeEventField(isDelete, kv, undefined);
      return this.#plain;
    }
    this.#withPrevious ??= encodeEventField(isDelete, kv, this.#source.previousKv(this.event));
    return this.#withPrevious;
  }
}
