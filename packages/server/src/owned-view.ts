// A view of the backend that its maker can close as well: a member that stops must not leave views open.

import type { Bytes } from "@etcd-ts/base";
import type { BackendView, BucketName, Visit } from "@etcd-ts/machine";

export class OwnedView implements BackendView {
  readonly #view: BackendView;
  readonly #open: Set<BackendView>;

  /** `open` holds this view until it is closed. */
  constructor(view: BackendView, open: Set<BackendView>) {
    this.#view = view;
    this.#open = open;
    open.add(this);
  }

  get(bucket: BucketName, key: Bytes): Bytes | undefined {
    return this.#view.get(bucket, key);
  }

  scan(bucket: BucketName, from: Bytes, to: Bytes | undefined, limit: number, visit: Visit): void {
    this.#view.scan(bucket, from, to, limit, visit);
  }

  /** Idempotent. */
  close(): void {
    if (this.#open.delete(this)) this.#view.close();
  }
}
