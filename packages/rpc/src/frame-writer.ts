// Composes whole frames at the end of an `Output`. DATA with content is written where the content is
// (`grpc-stream.ts`, `http2-stream.ts`).

import { type Bytes, utf8ToBytes } from "@etcd-ts/base";
import { Flag, FrameType, frameHeaderBytes, writeFrameHeader, writeUint32 } from "./frames.ts";
import type { Output } from "./output.ts";

/** HEADERS, and CONTINUATION where the block is longer than a frame. */
export function putHeaders(
  out: Output,
  frameBytesMax: number,
  id: number,
  block: Bytes,
  length: number,
  endStream: boolean,
): void {
  const end = endStream ? Flag.endStream : 0;
  if (length <= frameBytesMax) {
    const at = out.reserve(frameHeaderBytes + length);
    const flags = end | Flag.endHeaders;
    const payload = writeFrameHeader(out.buffer, at, length, FrameType.headers, flags, id);
    for (let i = 0; i < length; i++) out.buffer[payload + i] = block[i]!;
    out.position = payload + length;
    return;
  }
  let type: number = FrameType.headers;
  let flags: number = end;
  for (let from = 0; from < length; ) {
    const piece = Math.min(length - from, frameBytesMax);
    if (from + piece === length) flags |= Flag.endHeaders;
    const at = out.reserve(frameHeaderBytes + piece);
    const payload = writeFrameHeader(out.buffer, at, piece, type, flags, id);
    out.buffer.set(block.subarray(from, from + piece), payload);
    out.position = payload + piece;
    from += piece;
    type = FrameType.continuation;
    flags = 0;
  }
}

/** An empty DATA frame that ends the stream. */
export function putEnd(out: Output, id: number): void {
  const at = out.reserve(frameHeaderBytes);
  out.position = writeFrameHeader(out.buffer, at, 0, FrameType.data, Flag.endStream, id);
}

/** `high` and `low` are the payload. */
export function putPing(out: Output, high: number, low: number, flags: number): void {
  const at = out.reserve(frameHeaderBytes + 8);
  const payload = writeFrameHeader(out.buffer, at, 8, FrameType.ping, flags, 0);
  out.position = writeUint32(out.buffer, writeUint32(out.buffer, payload, high), low);
}

export type SettingPairs = readonly (readonly [name: number, value: number])[];

export function putSettings(out: Output, settings: SettingPairs): void {
  const length = settings.length * 6;
  const at = out.reserve(frameHeaderBytes + length);
  let position = writeFrameHeader(out.buffer, at, length, FrameType.settings, 0, 0);
  for (const [name, value] of settings) {
    out.buffer[position] = name >>> 8;
    out.buffer[position + 1] = name;
    position = writeUint32(out.buffer, position + 2, value);
  }
  out.position = position;
}

export function putSettingsAck(out: Output): void {
  const at = out.reserve(frameHeaderBytes);
  out.position = writeFrameHeader(out.buffer, at, 0, FrameType.settings, Flag.ack, 0);
}

export function putGoaway(out: Output, lastStream: number, code: number, debug: string): void {
  const text = utf8ToBytes(debug);
  const length = 8 + text.length;
  const at = out.reserve(frameHeaderBytes + length);
  const payload = writeFrameHeader(out.buffer, at, length, FrameType.goaway, 0, 0);
  const behind = writeUint32(out.buffer, writeUint32(out.buffer, payload, lastStream), code);
  out.buffer.set(text, behind);
  out.position = behind + text.length;
}

export function putWindowUpdate(out: Output, id: number, increment: number): void {
  const at = out.reserve(frameHeaderBytes + 4);
  const payload = writeFrameHeader(out.buffer, at, 4, FrameType.windowUpdate, 0, id);
  out.position = writeUint32(out.buffer, payload, increment);
}

export function putReset(out: Output, id: number, code: number): void {
  const at = out.reserve(frameHeaderBytes + 4);
  const payload = writeFrameHeader(out.buffer, at, 4, FrameType.rstStream, 0, id);
  out.position = writeUint32(out.buffer, payload, code);
}
