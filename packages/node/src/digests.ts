import { createHash, type Hash } from "node:crypto";
import type { Bytes, Digests, Hasher } from "@etcd-ts/base";

class NodeHasher implements Hasher {
  readonly #hash: Hash = createHash("sha256");

  update(bytes: Bytes): void {
    this.#hash.update(bytes);
  }

  digest(): Bytes {
    return this.#hash.digest();
  }
}

export const nodeDigests: Digests = {
  sha1: (bytes) => createHash("sha1").update(bytes).digest(),
  sha256: () => new NodeHasher(),
};
