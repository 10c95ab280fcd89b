// Names in a log's folder:
//
//      0000000000000003-00000000000186a1.wal      sequence 3, its first entry has index 100001
//      0.tmp, 1.tmp                               the next segment, being prepared
//      0000000000000003-….wal.broken              copy of a segment from before it was mended

export interface WalSegment {
  readonly sequence: number;
  /** Index of the first entry that may stand in it: the last one before it, plus one. */
  readonly firstIndex: number;
  readonly name: string;
}

const pattern = /^([0-9a-f]{16})-([0-9a-f]{16})\.wal$/;

export function walSegment(sequence: number, firstIndex: number): WalSegment {
  return { sequence, firstIndex, name: `${hex16(sequence)}-${hex16(firstIndex)}.wal` };
}

/** Undefined when it is not the name of a segment. */
export function parseWalSegment(name: string): WalSegment | undefined {
  const match = pattern.exec(name);
  if (match === null) return undefined;
  const sequence = Number.parseInt(match[1] as string, 16);
  const firstIndex = Number.parseInt(match[2] as string, 16);
  if (!Number.isSafeInteger(sequence) || !Number.isSafeInteger(firstIndex)) return undefined;
  return { sequence, firstIndex, name };
}

/** 16 hexadecimal digits, as etcd writes terms and indexes in file names. */
export function hex16(value: number): string {
  return value.toString(16).padStart(16, "0");
}
