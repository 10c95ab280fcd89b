// The generated codecs of all packages beside protobufjs, which reads the same .proto files on its own:
// random messages of every type, and what protobufjs makes of them.

import { join } from "node:path";
import { pathToFileURL } from "node:url";
import protobuf from "protobufjs";
import { loadPackage, parse } from "../src/protogen/load.ts";
import type { EnumModel, FieldModel, MessageModel } from "../src/protogen/model.ts";
import {
  importFolders,
  type ProtoPackage,
  protoFolder,
  protoPackages,
  root,
} from "../src/protogen/packages.ts";

/** The class by which protobufjs holds 64 bits; its declarations leave the static methods out. */
const Long = protobuf.util.Long as unknown as {
  fromString(text: string, unsigned: boolean): unknown;
};

export type Fields = Record<string, unknown>;

export interface Codec {
  readonly model: MessageModel;
  readonly oracle: protobuf.Type;
  readonly codecs: Codecs;
  create(): Fields;
  size(message: object): number;
  write(message: object, target: Uint8Array, position: number): number;
  encode(message: object): Uint8Array;
  decode(bytes: Uint8Array, start?: number, end?: number): Fields;
}

/** By full name; a package's own, because storage has `raftpb.ConfState` too. */
export type Codecs = Map<string, Codec>;

/** Imports what the build made of the generated modules. */
export async function loadCodecs(): Promise<Codec[]> {
  const all: Codec[] = [];
  for (const item of protoPackages) all.push(...(await loadCodecsOf(item)));
  return all;
}

async function loadCodecsOf(item: ProtoPackage): Promise<Codec[]> {
  const home = protoFolder(item);
  const model = loadPackage(item.files, home, importFolders(item));
  const oracle = parse(item.files, [home, ...importFolders(item)]);
  const codecs: Codecs = new Map();
  for (const file of model.files) {
    const path = join(root, item.folder, "dist/src/gen", `${file.module}.js`);
    const module = (await import(pathToFileURL(path).href)) as Record<string, unknown>;
    for (const type of model.types.values()) {
      if (type.kind !== "message" || !(type.className in module) || codecs.has(type.fullName))
        continue;
      const declared = file.types.includes(type);
      if (!declared && model.files.some((other) => other.types.includes(type))) continue;
      const name = type.className;
      const construct = module[name] as new () => Fields;
      codecs.set(type.fullName, {
        model: type,
        oracle: oracle.lookupType(type.fullName),
        codecs,
        create: () => new construct(),
        size: module[`size${name}`] as Codec["size"],
        write: module[`write${name}`] as Codec["write"],
        encode: module[`encode${name}`] as Codec["encode"],
        decode: module[`decode${name}`] as Codec["decode"],
      });
    }
  }
  for (const file of model.files) {
    for (const type of file.types) {
      const missing = type.kind === "message" && !codecs.has(type.fullName);
      if (missing) throw new Error(`no codec of ${type.fullName}`);
    }
  }
  for (const [name, type] of model.types) if (type.kind === "enum") enums.set(name, type);
  return [...codecs.values()];
}

const enums = new Map<string, EnumModel>();

interface Dice {
  below(bound: number): number;
  next32(): number;
  pick<T>(items: readonly T[]): T;
  bytes(count: number): Uint8Array;
}

const safeEdges = [
  1,
  127,
  128,
  16383,
  16384,
  2 ** 28,
  2 ** 31 - 1,
  2 ** 31,
  2 ** 32 - 1,
  2 ** 32,
  2 ** 35,
];
const safeMore = [2 ** 42 - 1, 2 ** 42, 2 ** 49 - 1, 2 ** 49, 2 ** 53 - 1];
const bigEdges = [
  1n,
  127n,
  128n,
  2n ** 31n,
  2n ** 32n,
  2n ** 35n - 1n,
  2n ** 42n,
  2n ** 49n,
  2n ** 56n - 1n,
];
const bigMore = [2n ** 53n, 2n ** 53n + 1n, 2n ** 56n, 2n ** 62n, 2n ** 63n - 1n];
const texts = [
  "a",
  "root",
  "Ünïcødé",
  "日本語",
  "\u{1f600}",
  "\ufffd",
  "x".repeat(42),
  "y".repeat(43),
  "é".repeat(70),
];

export function randomMessage(codec: Codec, dice: Dice, depth = 0): Fields {
  const message = codec.create();
  const oneofs = new Set<string>();
  for (const field of codec.model.fields) {
    // Few fields of deep messages, so that recursive types end.
    if (dice.below(10) < 3 + depth * 2) continue;
    if (field.oneof !== undefined) {
      if (oneofs.has(field.oneof)) continue;
      oneofs.add(field.oneof);
    }
    if (field.kind === "message" && depth > 4) continue;
    const item = (): unknown => randomValue(field, codec, dice, depth);
    if (field.map) {
      const map = message[field.property] as Map<string, unknown>;
      for (let i = dice.below(3); i > 0; i--) map.set(dice.pick(texts), item());
    } else if (field.repeated) {
      const items = message[field.property] as unknown[];
      for (let i = dice.below(4); i > 0; i--) items.push(item());
    } else {
      message[field.property] = item();
    }
  }
  return message;
}

function randomValue(field: FieldModel, codec: Codec, dice: Dice, depth: number): unknown {
  const zero = dice.below(8) === 0;
  switch (field.kind) {
    case "bytes":
      return Buffer.from(dice.bytes(zero ? 0 : dice.pick([1, 5, 127, 128, 300])));
    case "string":
      return zero ? "" : dice.pick(texts);
    case "bool":
      return dice.below(2) === 1;
    case "int32":
      return zero ? 0 : dice.pick([1, -1, 300, 2 ** 31 - 1, -(2 ** 31), dice.next32() | 0]);
    case "uint32":
      return zero ? 0 : dice.pick([1, 300, 2 ** 31, 2 ** 32 - 1, dice.next32()]);
    case "enum":
      // Open enums: numbers without a name survive.
      return dice.pick([...enums.get(field.type!)!.values.map((value) => value.number), 77, -1]);
    case "int64": {
      if (field.big) return zero ? 0n : dice.pick([...bigEdges, ...bigMore, -1n, -(2n ** 63n)]);
      const value = zero ? 0 : dice.pick([...safeEdges, ...safeMore]);
      return dice.below(4) === 0 && value !== 0 ? -value : value;
    }
    case "uint64":
      if (field.big)
        return zero ? 0n : dice.pick([...bigEdges, ...bigMore, 2n ** 63n, 2n ** 64n - 1n]);
      return zero ? 0 : dice.pick([...safeEdges, ...safeMore]);
    case "message":
      return randomMessage(codecOf(field, codec), dice, depth + 1);
    default:
      throw field.kind satisfies never;
  }
}

export function codecOf(field: FieldModel, codec: Codec): Codec {
  return codec.codecs.get(field.type!)!;
}

/** The bytes that protobufjs gives when it is told to write what canonical encoding writes. */
export function oracleBytes(codec: Codec, message: Fields): Uint8Array {
  return codec.oracle.encode(oracleObject(codec, message)).finish();
}

function oracleObject(codec: Codec, message: Fields): Fields {
  const object: Fields = {};
  for (const field of codec.model.fields) {
    const value = message[field.property];
    const convert = (item: unknown): unknown => {
      if (field.kind === "message") return oracleObject(codecOf(field, codec), item as Fields);
      if (field.kind === "int64" || field.kind === "uint64") {
        return Long.fromString(String(item), field.kind === "uint64");
      }
      return item;
    };
    if (field.map) {
      const keys = [...(value as Map<string, unknown>).keys()].sort();
      object[field.protoName] = Object.fromEntries(
        keys.map((key) => [key, convert((value as Map<string, unknown>).get(key))]),
      );
    } else if (field.repeated) {
      object[field.protoName] = (value as unknown[]).map(convert);
    } else if (value === undefined) {
      if (field.always) object[field.protoName] = convert(codecOf(field, codec).create());
    } else if (field.always || field.presence || field.kind === "message" || !isZero(value)) {
      object[field.protoName] = convert(value);
    }
  }
  return object;
}

export function isZero(value: unknown): boolean {
  if (value instanceof Uint8Array) return value.length === 0;
  return value === 0 || value === 0n || value === "" || value === false;
}

/** What decoding the bytes of `message` gives: absent messages that are written become empty ones. */
export function afterDecoding(codec: Codec, message: Fields): Fields {
  const result = codec.create();
  for (const field of codec.model.fields) {
    const value = message[field.property];
    if (field.kind !== "message") {
      result[field.property] = value;
      continue;
    }
    const inner = codecOf(field, codec);
    const convert = (item: unknown): Fields => afterDecoding(inner, item as Fields);
    if (field.map) {
      const entries = [...(value as Map<string, unknown>)];
      result[field.property] = new Map(entries.map(([key, item]) => [key, convert(item)]));
    } else if (field.repeated) {
      result[field.property] = (value as unknown[]).map(convert);
    } else if (value !== undefined || field.always) {
      result[field.property] = convert(value ?? inner.create());
    }
  }
  return result;
}

/** What decoding the bytes of `a` and then those of `b`, one after the other, gives. */
export function merged(codec: Codec, a: Fields, b: Fields): Fields {
  const result = afterDecoding(codec, a);
  const second = afterDecoding(codec, b);
  for (const field of codec.model.fields) {
    const { property } = field;
    const value = second[property];
    if (field.map) {
      for (const [key, item] of value as Map<string, unknown>) {
        (result[property] as Map<string, unknown>).set(key, item);
      }
    } else if (field.repeated) {
      result[property] = [...(result[property] as unknown[]), ...(value as unknown[])];
    } else if (
      value !== undefined &&
      (field.always || field.presence || field.kind === "message" || !isZero(value))
    ) {
      for (const rival of codec.model.fields) {
        if (rival !== field && field.oneof !== undefined && rival.oneof === field.oneof) {
          result[rival.property] = undefined;
        }
      }
      const before = result[property];
      result[property] =
        field.kind === "message" && before !== undefined
          ? merged(codecOf(field, codec), before as Fields, value as Fields)
          : value;
    }
  }
  return result;
}

/** The fields of a message, each with its tag, cut apart. */
export function cutFields(bytes: Uint8Array): Uint8Array[] {
  const reader = protobuf.Reader.create(bytes);
  const parts: Uint8Array[] = [];
  while (reader.pos < reader.len) {
    const start = reader.pos;
    const tag = reader.uint32();
    reader.skipType(tag & 7);
    parts.push(bytes.subarray(start, reader.pos));
  }
  return parts;
}

/** A message for comparing: a Buffer and a Uint8Array of the same bytes are the same. */
export function plain(value: unknown): unknown {
  if (value instanceof Uint8Array) return `bytes ${Buffer.from(value).toString("hex")}`;
  if (Array.isArray(value)) return value.map(plain);
  if (value instanceof Map) return [...value].map(([key, item]) => [key, plain(item)]).sort();
  if (typeof value !== "object" || value === null) return value;
  const entries = Object.entries(value).map(([key, item]) => [key, plain(item)]);
  return { class: value.constructor.name, ...Object.fromEntries(entries) };
}
