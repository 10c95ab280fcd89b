// The size of the backend against `--quota-backend-bytes`. A write is admitted while the allocated size plus
// what it may cost stays below; deletes cost nothing. Sizes change with commits, so the size is read once
// per commit and not per request.

import type { Backend } from "@etcd-ts/machine";

export class Quota {
  readonly #backend: Backend;
  /** 0: no quota. */
  readonly limitBytes: number;
  #allocatedBytes = 0;
  #inUseBytes = 0;

  constructor(backend: Backend, quotaBytes: number) {
    this.#backend = backend;
    this.limitBytes = Math.max(0, quotaBytes);
    this.refresh();
  }

  get allocatedBytes(): number {
    return this.#allocatedBytes;
  }

  get inUseBytes(): number {
    return this.#inUseBytes;
  }

  /** After a commit or a defragmentation. */
  refresh(): void {
    const size = this.#backend.size();
    this.#allocatedBytes = size.allocatedBytes;
    this.#inUseBytes = size.inUseBytes;
  }

  admits(costBytes: number): boolean {
    if (this.limitBytes === 0 || costBytes === 0) return true;
    return this.#allocatedBytes + costBytes < this.limitBytes;
  }
}

/** What a put costs besides its key and value. */
export const putCostBytes = 256;
export const leaseGrantCostBytes = 64;
