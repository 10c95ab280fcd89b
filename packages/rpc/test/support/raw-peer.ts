// The other side of a connection, by hand: writes any bytes, reads frames back.

import { type Bytes, concatBytes, utf8ToBytes } from "@etcd-ts/base";
import {
  clientPreface,
  Flag,
  FrameType,
  readUint31,
  readUint32,
  writeFrameHeader,
  writeUint32,
} from "../../src/frames.ts";
import type { HeaderField } from "../../src/header-field.ts";
import { HpackDecoder } from "../../src/hpack-decoder.ts";
import { encodeStateless } from "../../src/hpack-encoder.ts";
import type { RpcServer } from "../../src/index.ts";
import type { MemoryConnection, World } from "./world.ts";

export interface Frame {
  readonly type: number;
  readonly flags: number;
  readonly id: number;
  readonly payload: Bytes;
}

export type Fields = readonly (readonly [string, string])[];

export function frame(type: number, flags: number, id: number, payload: Bytes | number[]): Bytes {
  const bytes = new Uint8Array(9 + payload.length);
  writeFrameHeader(bytes, 0, payload.length, type, flags, id);
  bytes.set(payload, 9);
  return bytes;
}

export function uint32(value: number): Bytes {
  const bytes = new Uint8Array(4);
  writeUint32(bytes, 0, value);
  return bytes;
}

export const settings = (...pairs: [number, number][]): Bytes =>
  frame(
    FrameType.settings,
    0,
    0,
    concatBytes([
      new Uint8Array(0),
      ...pairs.map(([name, value]) =>
        concatBytes([new Uint8Array([name >> 8, name]), uint32(value)]),
      ),
    ]),
  );
export const settingsAck: Bytes = frame(FrameType.settings, Flag.ack, 0, []);
export const windowUpdate = (id: number, increment: number): Bytes =>
  frame(FrameType.windowUpdate, 0, id, uint32(increment));
export const rstStream = (id: number, code: number): Bytes =>
  frame(FrameType.rstStream, 0, id, uint32(code));
export const ping = (flags = 0): Bytes => frame(FrameType.ping, flags, 0, [1, 2, 3, 4, 5, 6, 7, 8]);
export const headers = (id: number, fields: Fields, flags: number = Flag.endHeaders): Bytes =>
  frame(FrameType.headers, flags, id, encodeStateless(fields));
export const data = (id: number, payload: Bytes | number[], flags = 0): Bytes =>
  frame(FrameType.data, flags, id, payload);
export const goaway = (last: number, code: number, debug = ""): Bytes =>
  frame(FrameType.goaway, 0, 0, concatBytes([uint32(last), uint32(code), utf8ToBytes(debug)]));

/** A gRPC message with its prefix. */
export function message(text: string | Bytes, flag = 0): Bytes {
  const body = typeof text === "string" ? utf8ToBytes(text) : text;
  return concatBytes([new Uint8Array([flag]), uint32(body.length), body]);
}

export const requestFields = (path: string, ...more: [string, string][]): Fields => [
  [":method", "POST"],
  [":scheme", "http"],
  [":path", path],
  [":authority", "localhost"],
  ["content-type", "application/grpc"],
  ["te", "trailers"],
  ...more,
];

export class RawPeer {
  readonly world: World;
  readonly io: MemoryConnection;
  readonly frames: Frame[] = [];
  readonly decoder: HpackDecoder = new HpackDecoder();
  ended = false;
  closed = false;
  #bytes: Bytes = new Uint8Array(0);

  constructor(world: World, io: MemoryConnection) {
    this.world = world;
    this.io = io;
    io.handler = {
      onData: (bytes) => {
        this.#bytes = concatBytes([this.#bytes, bytes]);
        this.#split();
      },
      onDrain: () => {},
      onEnd: () => {
        this.ended = true;
        io.end();
      },
      onClose: () => {
        this.closed = true;
      },
    };
  }

  /** Connected to a server, preface and settings sent, the server's greeting taken. */
  static connect(world: World, server: RpcServer, greeting: Bytes = settings()): RawPeer {
    const [near, far] = world.pair();
    far.handler = server.attach(far);
    const peer = new RawPeer(world, near);
    peer.send(utf8ToBytes(clientPreface), greeting, settingsAck);
    peer.take();
    return peer;
  }

  send(...parts: Bytes[]): void {
    this.io.write(concatBytes(parts));
    this.world.run();
  }

  /** What has come since the last time. */
  take(): Frame[] {
    return this.frames.splice(0);
  }

  fields(block: Bytes): [string, string][] {
    const fields: HeaderField[] = [];
    const outcome = this.decoder.decode(block, 0, block.length, 1 << 20, fields);
    if (outcome !== "ok") throw new Error(`header block: ${outcome}`);
    return fields.map((field) => [field.name, field.value]);
  }

  /** A readable account of what has come, such as `HEADERS 1 END_STREAM grpc-status: 0`. */
  story(): string[] {
    return this.take().map((each) => this.describe(each));
  }

  describe({ type, flags, id, payload }: Frame): string {
    const end = (flags & Flag.endStream) !== 0 ? " end" : "";
    switch (type) {
      case FrameType.data:
        return `DATA ${id} ${payload.length}${end}`;
      case FrameType.headers:
        return `HEADERS ${id}${end} ${this.fields(payload)
          .map(([name, value]) => `${name}=${value}`)
          .join(" ")}`;
      case FrameType.rstStream:
        return `RST_STREAM ${id} ${readUint32(payload, 0)}`;
      case FrameType.settings:
        return (flags & Flag.ack) !== 0 ? "SETTINGS ack" : `SETTINGS ${payload.length / 6}`;
      case FrameType.ping:
        return (flags & Flag.ack) !== 0 ? "PING ack" : "PING";
      case FrameType.goaway:
        return `GOAWAY ${readUint31(payload, 0)} ${readUint32(payload, 4)} ${String.fromCharCode(...payload.subarray(8))}`;
      case FrameType.windowUpdate:
        return `WINDOW_UPDATE ${id} ${readUint32(payload, 0)}`;
      default:
        return `frame ${type} ${id}`;
    }
  }

  #split(): void {
    for (;;) {
      const bytes = this.#bytes;
      if (bytes.length < 9) return;
      const length = (bytes[0]! << 16) | (bytes[1]! << 8) | bytes[2]!;
      if (bytes.length < 9 + length) return;
      this.frames.push({
        type: bytes[3]!,
        flags: bytes[4]!,
        id: readUint31(bytes, 5),
        payload: bytes.slice(9, 9 + length),
      });
      this.#bytes = bytes.slice(9 + length);
    }
  }
}
