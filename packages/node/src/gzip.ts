// gzip for gRPC messages. Synchronous: messages are small, and a compressed one that would grow beyond its
// limit is given up as soon as it does.

import type { Bytes } from "@etcd-ts/base";

// Loaded with the first compressed message.
const lazyZlib = (): typeof import("node:zlib") => process.getBuiltinModule("node:zlib");

export const gzip: {
  compress(bytes: Bytes): Bytes;
  /** Throws RangeError beyond `maxBytes`, another Error when it is no gzip. */
  decompress(bytes: Bytes, maxBytes: number): Bytes;
} = {
  compress: (bytes) => lazyZlib().gzipSync(bytes, { level: 1 }),
  decompress(bytes, maxBytes) {
    try {
      return lazyZlib().gunzipSync(bytes, { maxOutputLength: Math.max(1, maxBytes) });
    } catch (error) {
      if ((error as { code?: unknown }).code !== "ERR_BUFFER_TOO_LARGE") throw error;
      throw new RangeError(`decompressed message larger than ${maxBytes} bytes`, { cause: error });
    }
  },
};
