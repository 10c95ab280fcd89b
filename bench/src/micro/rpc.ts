// HPACK and frames: what a call costs before anybody looks at its message.

import { type Bytes, type Connection, concatBytes, utf8ToBytes } from "@etcd-ts/base";
import { internal, mustEqual, mustEqualBytes } from "./internals.ts";
import type { MicroBenchmark } from "./micro-benchmark.ts";

type Decoder = typeof import("../../../packages/rpc/src/hpack-decoder.ts");
type Encoder = typeof import("../../../packages/rpc/src/hpack-encoder.ts");
type Field = import("../../../packages/rpc/src/header-field.ts").HeaderField;
type Heads = typeof import("../../../packages/rpc/src/head-cache.ts");
type Huffman = typeof import("../../../packages/rpc/src/huffman.ts");
type Templates = typeof import("../../../packages/rpc/src/response-templates.ts");
type Frames = typeof import("../../../packages/rpc/src/frames.ts");
type Writer = typeof import("../../../packages/rpc/src/frame-writer.ts");
type Outputs = typeof import("../../../packages/rpc/src/output.ts");

const requestHeaders = [
  [":method", "POST"],
  [":scheme", "http"],
  [":path", "/etcdserverpb.KV/Put"],
  [":authority", "127.0.0.1:2379"],
  ["content-type", "application/grpc"],
  ["user-agent", "grpc-go/1.81.1"],
  ["te", "trailers"],
] as const;

const headerListBytesMax = 16_384;

export const hpackDecode: MicroBenchmark = {
  name: "hpack-decode",
  title: "the headers of a call that repeats the last one",
  async prepare() {
    const { HpackDecoder } = await internal<Decoder>("rpc/dist/src/hpack-decoder.js");
    const { HpackEncoder } = await internal<Encoder>("rpc/dist/src/hpack-encoder.js");
    const { HeadCache } = await internal<Heads>("rpc/dist/src/head-cache.js");
    const encoder = new HpackEncoder();
    const decoder = new HpackDecoder();
    const block = (): Bytes => {
      const target = new Uint8Array(1024);
      let at = encoder.writeUpdates(target, 0);
      for (const [name, value] of requestHeaders) at = encoder.writeField(target, at, name, value);
      return target.subarray(0, at);
    };
    const decode = (bytes: Bytes): Field[] => {
      const fields: Field[] = [];
      mustEqual(decoder.decode(bytes, 0, bytes.length, headerListBytesMax, fields), "ok", "block");
      return fields;
    };
    // The first fills the dynamic table; from the second on they are indexes into it.
    decode(block());
    const repeated = block();
    const heads = new HeadCache<Field[]>();
    heads.store(repeated, 0, repeated.length, decoder.tableVersion, decode(repeated));
    const find = (): Field[] =>
      heads.find(repeated, 0, repeated.length, decoder.tableVersion) ?? decode(repeated);
    return {
      unit: "header block",
      fast: { run: (count) => repeat(count, find) },
      plain: { what: "decoding the block", run: (count) => repeat(count, () => decode(repeated)) },
      check() {
        for (const fields of [find(), decode(repeated)]) {
          mustEqual(
            textOf(fields),
            textOf(requestHeaders.map(([name, value]) => ({ name, value }))),
            "fields",
          );
        }
      },
    };
  },
};

export const hpackEncode: MicroBenchmark = {
  name: "hpack-encode",
  title: "the headers and trailers of an answer",
  async prepare() {
    const { HpackDecoder } = await internal<Decoder>("rpc/dist/src/hpack-decoder.js");
    const { encodeStateless } = await internal<Encoder>("rpc/dist/src/hpack-encoder.js");
    const { ResponseEncoder } = await internal<Templates>("rpc/dist/src/response-templates.js");
    const encoder = new ResponseEncoder();
    const type = "application/grpc";
    const headers = [
      [":status", "200"],
      ["content-type", type],
    ] as const;
    const trailers = [
      ["grpc-status", "0"],
      ["grpc-message", ""],
    ] as const;
    const fromTemplate = (): number =>
      encoder.headers(type, undefined).length + encoder.okTrailers().length;
    const stateless = (): number =>
      encodeStateless(headers).length + encodeStateless(trailers).length;
    return {
      unit: "answer",
      fast: { run: (count) => repeat(count, fromTemplate) },
      plain: { what: "composing them anew", run: (count) => repeat(count, stateless) },
      check() {
        // Of an encoder that has said nothing yet: the decoder must see its first blocks, too.
        const fresh = new ResponseEncoder();
        const decoder = new HpackDecoder();
        const read = (bytes: Bytes): string => {
          const fields: Field[] = [];
          const outcome = decoder.decode(bytes, 0, bytes.length, headerListBytesMax, fields);
          mustEqual(outcome, "ok", "block");
          return textOf(fields);
        };
        for (let n = 0; n < 3; n++) {
          mustEqual(
            read(fresh.headers(type, undefined)),
            read(encodeStateless(headers)),
            "headers",
          );
          mustEqual(read(fresh.okTrailers()).split("\n")[0], "grpc-status: 0", "trailers");
        }
      },
    };
  },
};

export const huffmanDecode: MicroBenchmark = {
  name: "huffman-decode",
  title: "a Huffman-coded string of 40 bytes",
  async prepare() {
    const huffman = await internal<Huffman>("rpc/dist/src/huffman.js");
    const text = "/registry/pods/default/nginx-7d5b5f4c9-x";
    const coded = new Uint8Array(huffman.huffmanLength(text));
    huffman.huffmanEncode(coded, 0, text);
    const decode = (): string | undefined => huffman.huffmanDecode(coded, 0, coded.length);
    const symbols = bitStrings(huffman);
    return {
      unit: "string",
      fast: { run: (count) => repeat(count, decode) },
      plain: { what: "bit by bit", run: (count) => repeat(count, () => bitByBit(symbols, coded)) },
      check() {
        mustEqual(decode(), text, "text");
        mustEqual(bitByBit(symbols, coded), text, "text bit by bit");
      },
    };
  },
};

/** The code of every symbol as text of zeros and ones. */
function bitStrings(huffman: Awaited<Huffman>): Map<string, string> {
  const symbols = new Map<string, string>();
  for (let code = 0; code < 256; code++) {
    const symbol = String.fromCharCode(code);
    // Eight of them take as many bytes as one takes bits.
    const bits = huffman.huffmanLength(symbol.repeat(8));
    const bytes = new Uint8Array(5);
    huffman.huffmanEncode(bytes, 0, symbol);
    symbols.set(bitsOf(bytes).slice(0, bits), symbol);
  }
  return symbols;
}

function bitByBit(symbols: ReadonlyMap<string, string>, coded: Bytes): string {
  let text = "";
  let pending = "";
  for (const bit of bitsOf(coded)) {
    pending += bit;
    const symbol = symbols.get(pending);
    if (symbol === undefined) continue;
    text += symbol;
    pending = "";
  }
  return text;
}

function bitsOf(bytes: Bytes): string {
  return Array.from(bytes, (byte) => byte.toString(2).padStart(8, "0")).join("");
}

export const frames: MicroBenchmark = {
  name: "frames",
  title: "the frames of a hundred answers in one write",
  async prepare() {
    const { Flag, FrameType, frameHeaderBytes, writeFrameHeader } =
      await internal<Frames>("rpc/dist/src/frames.js");
    const { putHeaders } = await internal<Writer>("rpc/dist/src/frame-writer.js");
    const { Output } = await internal<Outputs>("rpc/dist/src/output.js");
    const answers = 100;
    const block = utf8ToBytes("abc");
    const message = new Uint8Array(33).fill(1);
    let written: Bytes = new Uint8Array(0);
    const connection = {
      write(bytes: Bytes) {
        written = bytes;
        return true;
      },
    } as Connection;
    const output = new Output();
    const compose = (): Bytes => {
      for (let id = 1; id < 2 * answers; id += 2) {
        putHeaders(output, 16_384, id, block, block.length, false);
        const at = output.reserve(frameHeaderBytes + message.length);
        const payload = writeFrameHeader(output.buffer, at, message.length, FrameType.data, 0, id);
        output.buffer.set(message, payload);
        output.position = payload + message.length;
        putHeaders(output, 16_384, id, block, block.length, true);
      }
      output.flush(connection);
      return written;
    };
    const frame = (type: number, flags: number, id: number, payload: Bytes): Bytes => {
      const header = new Uint8Array(frameHeaderBytes);
      writeFrameHeader(header, 0, payload.length, type, flags, id);
      return concatBytes([header, payload]);
    };
    const concatenate = (): Bytes => {
      const parts: Bytes[] = [];
      for (let id = 1; id < 2 * answers; id += 2) {
        parts.push(frame(FrameType.headers, Flag.endHeaders, id, block));
        parts.push(frame(FrameType.data, 0, id, message));
        parts.push(frame(FrameType.headers, Flag.endHeaders | Flag.endStream, id, block));
      }
      return concatBytes(parts);
    };
    return {
      unit: "hundred answers",
      fast: { run: (count) => repeat(count, compose) },
      plain: { what: "an array for each frame", run: (count) => repeat(count, concatenate) },
      check: () => mustEqualBytes(compose(), concatenate(), "frames"),
    };
  },
};

function textOf(fields: readonly { readonly name: string; readonly value: string }[]): string {
  return fields.map(({ name, value }) => `${name}: ${value}`).join("\n");
}

export function repeat<T>(count: number, run: () => T): T {
  let last = run();
  for (let n = 1; n < count; n++) last = run();
  return last;
}
