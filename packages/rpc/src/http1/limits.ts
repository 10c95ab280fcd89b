// What one connection may cost. Sizes are checked before anything is stored or parsed.

export interface Http1Limits {
  /** Request line or status line and all fields, CRLFs included. */
  readonly headBytesMax: number;
  readonly fieldCountMax: number;
  /** The size line of one chunk with its extensions, and the trailer of a chunked body. */
  readonly chunkLineBytesMax: number;
  readonly trailerBytesMax: number;
}

export const defaultLimits: Http1Limits = {
  headBytesMax: 32 * 1024,
  fieldCountMax: 128,
  chunkLineBytesMax: 256,
  trailerBytesMax: 8 * 1024,
};

/** A waiting socket gives up after so long; each refreshed by every byte. 0: never. */
export interface Http1Timeouts {
  /** No byte came although one is due. */
  readonly readIdleMs: number;
  /** Bytes wait to be sent and none leaves. */
  readonly writeIdleMs: number;
  /** A head must be whole so long after its first byte. */
  readonly headMs: number;
}

export const defaultTimeouts: Http1Timeouts = {
  readIdleMs: 5000,
  writeIdleMs: 5000,
  headMs: 10_000,
};
