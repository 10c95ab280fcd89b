// A view of the backend in the shape of a backend, for a machine that only looks: what stands in `meta`, who
// the members are.

import type { Bytes } from "@etcd-ts/base";
import type { Backend, BackendReader, BackendView, BucketName, Visit } from "@etcd-ts/machine";

export class ViewBackend implements BackendReader {
  readonly pendingCount: number = 0;
  readonly pendingBytes: number = 0;
  readonly #view: BackendReader;

  private constructor(view: BackendReader) {
    this.#view = view;
  }

  /** Everything that would change something throws. */
  static of(view: BackendReader): Backend {
    const backend = new ViewBackend(view);
    return Object.assign(backend, {
      put: refuse,
      delete: refuse,
      commit: refuse,
      view: refuse as () => Promise<BackendView>,
      size: () => ({ allocatedBytes: 0, inUseBytes: 0 }),
      defragment: refuse as () => Promise<void>,
      replaceContent: refuse as () => Promise<void>,
      close: refuse as () => Promise<void>,
    });
  }

  get(bucket: BucketName, key: Bytes): Bytes | undefined {
    return this.#view.get(bucket, key);
  }

  scan(bucket: BucketName, from: Bytes, to: Bytes | undefined, limit: number, visit: Visit): void {
    this.#view.scan(bucket, from, to, limit, visit);
  }
}

function refuse(): never {
  throw new Error("a view cannot be changed");
}
