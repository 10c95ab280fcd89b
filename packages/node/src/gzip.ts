// gzip for gRPC messages. Synchronous: messages are small, and a compressed one that would grow beyond its
// limit is given up as soon as it does.

import { gunzipSync, gzipSync } from "node:zlib";
import type { Bytes } from "@etcd-ts/base";

export const gzip: {
  compress(bytes: Bytes): Bytes;
  /** Throws RangeError beyond `maxBytes`, another Error when it is no gzip. */
  decompress(bytes: Bytes, maxBytes: number): Bytes;
} = {
  compress: (bytes) => gzipSync(bytes, { level: 1 }),
  decompress(bytes, maxBytes) {
    try {
      return gunzipSync(bytes, { maxOutputLength: Math.max(1, maxBytes) });
    } catch (error) {
      if ((error as { code?: unknown }).code !== "ERR_BUFFER_TOO_LARGE") throw error;
      throw new RangeError(`decompressed message larger than ${maxBytes} bytes`, { cause: error });
    }
  },
};
