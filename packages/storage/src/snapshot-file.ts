// A snapshot file as `snapshot save` writes it: a bbolt database, and behind it the SHA-256 of its bytes.
// Databases are made of whole pages, so a length of 32 modulo 512 tells that the digest is there.

import type { Bytes, Digests, DiskFile } from "@etcd-ts/base";

const digestBytes = 32;
const chunkBytes = 256 << 10;

export interface SnapshotTrailer {
  /** Length of the database, without the digest. */
  readonly databaseBytes: number;
  /** The digest that the file carries; undefined when it has none. */
  readonly digest: Bytes | undefined;
}

export async function readSnapshotTrailer(file: DiskFile): Promise<SnapshotTrailer> {
  const size = await file.size();
  if (size % 512 !== digestBytes) return { databaseBytes: size, digest: undefined };
  const databaseBytes = size - digestBytes;
  return { databaseBytes, digest: await file.read(databaseBytes, digestBytes) };
}

/** SHA-256 of the database: what the trailer should say. `pause` is called between pieces. */
export async function hashDatabase(
  file: DiskFile,
  databaseBytes: number,
  digests: Digests,
  pause: () => Promise<void>,
): Promise<Bytes> {
  const hasher = digests.sha256();
  for (let at = 0; at < databaseBytes; at += chunkBytes) {
    hasher.update(await file.read(at, Math.min(chunkBytes, databaseBytes - at)));
    await pause();
  }
  return hasher.digest();
}
