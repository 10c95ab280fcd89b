import type { Hash } from "node:crypto";
import type { Bytes, Digests, Hasher } from "@etcd-ts/base";
import { lazyCrypto } from "./lazy-crypto.ts";

class NodeHasher implements Hasher {
  readonly #hash: Hash = lazyCrypto().createHash("sha256");

  update(bytes: Bytes): void {
    this.#hash.update(bytes);
  }

  digest(): Bytes {
    return this.#hash.digest();
  }
}

export const nodeDigests: Digests = {
  sha1: (bytes) => lazyCrypto().createHash("sha1").update(bytes).digest(),
  sha256: () => new NodeHasher(),
};
