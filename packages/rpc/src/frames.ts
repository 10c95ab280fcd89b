// The numbers of RFC 9113, and the writers of small frames. A frame is
//
//     length 24 bits | type 8 | flags 8 | reserved 1, stream 31 | payload

import type { Bytes } from "@etcd-ts/base";

export const FrameType = {
  data: 0,
  headers: 1,
  priority: 2,
  rstStream: 3,
  settings: 4,
  pushPromise: 5,
  ping: 6,
  goaway: 7,
  windowUpdate: 8,
  continuation: 9,
} as const;

export const Flag = {
  endStream: 0x1,
  ack: 0x1,
  endHeaders: 0x4,
  padded: 0x8,
  priority: 0x20,
} as const;

export const ErrorCode = {
  noError: 0,
  protocolError: 1,
  internalError: 2,
  flowControlError: 3,
  settingsTimeout: 4,
  streamClosed: 5,
  frameSizeError: 6,
  refusedStream: 7,
  cancel: 8,
  compressionError: 9,
  connectError: 10,
  enhanceYourCalm: 11,
  inadequateSecurity: 12,
  http11Required: 13,
} as const;
export type ErrorCode = (typeof ErrorCode)[keyof typeof ErrorCode];

/** Names by code, as RFC 9113 spells them. */
export const errorCodeNames: readonly string[] = [
  "NO_ERROR",
  "PROTOCOL_ERROR",
  "INTERNAL_ERROR",
  "FLOW_CONTROL_ERROR",
  "SETTINGS_TIMEOUT",
  "STREAM_CLOSED",
  "FRAME_SIZE_ERROR",
  "REFUSED_STREAM",
  "CANCEL",
  "COMPRESSION_ERROR",
  "CONNECT_ERROR",
  "ENHANCE_YOUR_CALM",
  "INADEQUATE_SECURITY",
  "HTTP_1_1_REQUIRED",
];

export const Setting = {
  headerTableSize: 1,
  enablePush: 2,
  maxConcurrentStreams: 3,
  initialWindowSize: 4,
  maxFrameSize: 5,
  maxHeaderListSize: 6,
} as const;

export const frameHeaderBytes = 9;
/** The initial SETTINGS_MAX_FRAME_SIZE, which we keep: what others send us is at most this long. */
export const defaultFrameBytes = 16_384;
export const defaultWindow = 65_535;
export const windowMax = 0x7fffffff;

/** What a client says first (RFC 9113 §3.4). */
export const clientPreface = "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

/** Writes a frame header and returns the position of the payload. */
export function writeFrameHeader(
  target: Bytes,
  position: number,
  length: number,
  type: number,
  flags: number,
  stream: number,
): number {
  target[position] = length >>> 16;
  target[position + 1] = length >>> 8;
  target[position + 2] = length;
  target[position + 3] = type;
  target[position + 4] = flags;
  return writeUint32(target, position + 5, stream);
}

export function writeUint32(target: Bytes, position: number, value: number): number {
  target[position] = value >>> 24;
  target[position + 1] = value >>> 16;
  target[position + 2] = value >>> 8;
  target[position + 3] = value;
  return position + 4;
}

export function readUint32(bytes: Bytes, position: number): number {
  return (
    ((bytes[position]! << 24) |
      (bytes[position + 1]! << 16) |
      (bytes[position + 2]! << 8) |
      bytes[position + 3]!) >>>
    0
  );
}

/** 31 bits; the reserved one is ignored. */
export function readUint31(bytes: Bytes, position: number): number {
  return readUint32(bytes, position) & 0x7fffffff;
}
