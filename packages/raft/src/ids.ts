// Node identifiers. All 64 bits may be used, so an id is a bigint. Zero means "nobody", and the two
// highest values name the storage threads, to which a node that writes asynchronously addresses its
// appends and applies (see raw-node.ts).

export const noNode = 0n;
export const appendThread = 0xffff_ffff_ffff_ffffn;
export const applyThread = 0xffff_ffff_ffff_fffen;

export function isStorageThread(id: bigint): boolean {
  return id === appendThread || id === applyThread;
}

/** Ids appear in log texts as lower-case hexadecimal digits. */
export function idText(id: bigint): string {
  return id.toString(16);
}

/** Ascending, without repeats. */
export function sortedIds(ids: Iterable<bigint>): bigint[] {
  const sorted = [...new Set(ids)];
  return sorted.sort((a, b) => (a < b ? -1 : a > b ? 1 : 0));
}
