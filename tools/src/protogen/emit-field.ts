// The lines that one field contributes to its class, `size`, `write` and `merge` functions.

import type { FieldModel, MessageModel } from "./model.ts";
import { capitalized } from "./names.ts";

/** What a field's lines need to know of the types around it. */
export interface Names {
  /** Class of a message, by full proto name. */
  classOf(fullName: string): string;
}

interface Scalar {
  /** TypeScript type. */
  readonly type: string;
  readonly zero: string;
  /** Condition under which `value` is not the default. */
  set(value: string): string;
  /** Bytes of the value without its tag; a plain number where it never differs. */
  size(value: string): string;
  /** Statement that writes the value and moves `at`. */
  write(value: string): string;
  /** Expression that reads a value. */
  readonly read: string;
}

function integer(size: string, cast: (value: string) => string, read: string): Scalar {
  const name = capitalized(size);
  return {
    type: "number",
    zero: "0",
    set: (value) => `${value} !== 0`,
    size: (value) => `size${name}(${cast(value)})`,
    write: (value) => `at = write${name}(b, at, ${cast(value)})`,
    read: `r.${read}()`,
  };
}

function bigInteger(read: string): Scalar {
  return {
    type: "bigint",
    zero: "0n",
    set: (value) => `${value} !== 0n`,
    size: (value) => `sizeVarint64(${value})`,
    write: (value) => `at = writeVarint64(b, at, ${value})`,
    read: `r.${read}()`,
  };
}

const same = (value: string): string => value;
const scalars = {
  bytes: {
    type: "Bytes",
    zero: "emptyBytes",
    set: (value) => `${value}.length !== 0`,
    size: (value) => `sizeBytes(${value})`,
    write: (value) => `at = writeBytes(b, at, ${value})`,
    read: "r.blob()",
  },
  string: {
    type: "string",
    zero: '""',
    set: (value) => `${value} !== ""`,
    size: (value) => `sizeText(${value})`,
    write: (value) => `at = writeText(b, at, ${value})`,
    read: "r.text()",
  },
  bool: {
    type: "boolean",
    zero: "false",
    set: (value) => value,
    size: () => "1",
    write: (value) => `b[at++] = ${value} ? 1 : 0`,
    read: "r.bool()",
  },
  int32: integer("SignedVarint", (value) => `${value} | 0`, "int32"),
  enum: integer("SignedVarint", (value) => `${value} | 0`, "int32"),
  uint32: integer("Varint", (value) => `${value} >>> 0`, "uint32"),
  int64: integer("SignedVarint", same, "int64"),
  uint64: integer("Varint", same, "uint64"),
} satisfies Record<string, Scalar>;

function scalarOf(field: FieldModel): Scalar {
  if (field.kind === "message") throw new Error(`${field.protoName} is a message`);
  if (field.big) return bigInteger(field.kind === "int64" ? "bigInt64" : "bigUint64");
  if (field.kind === "string" && field.loose) return { ...scalars.string, read: "r.looseText()" };
  return scalars[field.kind];
}

/** The declaration in the class, such as `key: Bytes = emptyBytes;`. */
export function declare(field: FieldModel, names: Names): string {
  const item = field.kind === "message" ? names.classOf(field.type!) : scalarOf(field).type;
  if (field.map) return `${field.property}: Map<string, ${item}> = new Map();`;
  if (field.repeated) return `${field.property}: ${item}[] = [];`;
  if (field.kind === "message" || field.presence) {
    return `${field.property}: ${item} | undefined = undefined;`;
  }
  return `${field.property}: ${item} = ${scalarOf(field).zero};`;
}

/** Statements that add the field's bytes to `size`. */
export function size(field: FieldModel, names: Names): string[] {
  const value = `m.${field.property}`;
  const tag = tagSize(field);
  if (field.map) {
    const name = names.classOf(field.type!);
    return [
      `for (const [key, value] of ${value}) {`,
      `  size += ${tag} + sizeNested(2 + sizeText(key) + sizeNested(size${name}(value)));`,
      "}",
    ];
  }
  if (field.kind === "message") {
    const name = names.classOf(field.type!);
    if (field.repeated) {
      return loop(value, `size += ${tag} + sizeNested(size${name}(item));`);
    }
    if (field.always)
      return [`size += ${tag} + sizeNested(size${name}(${value} ?? empty${name}));`];
    return [`if (${value} !== undefined) size += ${tag} + sizeNested(size${name}(${value}));`];
  }
  const scalar = scalarOf(field);
  if (field.packed) {
    return [
      `if (${value}.length !== 0) size += ${tag} + sizeNested(${packedSizeName(field)}(${value}));`,
    ];
  }
  if (field.repeated) return loop(value, `size += ${tag} + ${scalar.size("item")};`);
  const add = `size += ${tag} + ${scalar.size(value)};`;
  return [field.always ? add : `if (${condition(field, scalar, value)}) ${add}`];
}

/** Statements that write the field at `at` into `b`. */
export function write(field: FieldModel, names: Names): string[] {
  const value = `m.${field.property}`;
  const tag = writeTag(field.packed ? field.number * 8 + 2 : tagOf(field));
  if (field.map) {
    const name = names.classOf(field.type!);
    return [
      `for (const key of [...${value}.keys()].sort()) {`,
      `  const value = ${value}.get(key)!;`,
      ...indent(tag),
      `  at = writeVarint(b, at, 2 + sizeText(key) + sizeNested(size${name}(value)));`,
      "  b[at++] = 10;",
      "  at = writeText(b, at, key);",
      "  b[at++] = 18;",
      `  at = writeVarint(b, at, size${name}(value));`,
      `  at = write${name}(value, b, at);`,
      "}",
    ];
  }
  if (field.kind === "message") {
    const name = names.classOf(field.type!);
    const nested = (item: string): string[] => [
      ...tag,
      `at = writeVarint(b, at, size${name}(${item}));`,
      `at = write${name}(${item}, b, at);`,
    ];
    if (field.repeated) return loop(value, ...nested("item"));
    if (field.always) {
      const local = field.property;
      return [`const ${local} = ${value} ?? empty${name};`, ...nested(local)];
    }
    return guarded(`${value} !== undefined`, nested(value));
  }
  const scalar = scalarOf(field);
  if (field.packed) {
    return guarded(`${value}.length !== 0`, [
      ...tag,
      `at = writeVarint(b, at, ${packedSizeName(field)}(${value}));`,
      ...loop(value, `${scalar.write("item")};`),
    ]);
  }
  if (field.repeated) return loop(value, ...tag, `${scalar.write("item")};`);
  const lines = [...tag, `${scalar.write(value)};`];
  return field.always ? lines : guarded(condition(field, scalar, value), lines);
}

/** The cases of the field in the `switch` over tags. */
export function merge(field: FieldModel, message: MessageModel, names: Names): string[] {
  const value = `m.${field.property}`;
  const label = `case ${tagOf(field)}:`;
  const rivals = message.fields
    .filter((other) => other !== field && field.oneof !== undefined && other.oneof === field.oneof)
    .map((other) => `m.${other.property} = undefined;`);
  if (field.map) {
    return [
      `${label} {`,
      "  const outer = r.open();",
      `  ${mapReaderName(field, names)}(r, ${value});`,
      "  r.close(outer);",
      "  break;",
      "}",
    ];
  }
  if (field.kind === "message") {
    const name = names.classOf(field.type!);
    const into = field.repeated ? `new ${name}()` : `${value} ?? new ${name}()`;
    const read = `merge${name}(r, ${into})`;
    return [
      `${label} {`,
      ...indent(rivals),
      "  const outer = r.open();",
      field.repeated ? `  ${value}.push(${read});` : `  ${value} = ${read};`,
      "  r.close(outer);",
      "  break;",
      "}",
    ];
  }
  const scalar = scalarOf(field);
  if (field.repeated) {
    const one = [label, `  ${value}.push(${scalar.read});`, "  break;"];
    if (field.kind === "bytes" || field.kind === "string") return one;
    return [
      ...one,
      `case ${field.number * 8 + 2}: {`,
      "  const outer = r.open();",
      `  while (r.position < r.end) ${value}.push(${scalar.read});`,
      "  r.close(outer);",
      "  break;",
      "}",
    ];
  }
  return [label, ...indent(rivals), `  ${value} = ${scalar.read};`, "  break;"];
}

/** Functions beside the message's own that the field needs. */
export function helpers(field: FieldModel, names: Names): string[] {
  if (field.map) {
    const name = names.classOf(field.type!);
    return [
      `function ${mapReaderName(field, names)}(r: WireReader, map: Map<string, ${name}>): void {`,
      '  let key = "";',
      `  const value = new ${name}();`,
      "  while (r.position < r.end) {",
      "    const tag = r.tag();",
      "    switch (tag) {",
      "      case 10:",
      "        key = r.text();",
      "        break;",
      "      case 18: {",
      "        const outer = r.open();",
      `        merge${name}(r, value);`,
      "        r.close(outer);",
      "        break;",
      "      }",
      "      default:",
      "        r.skip(tag);",
      "    }",
      "  }",
      "  map.set(key, value);",
      "}",
    ];
  }
  if (!field.packed) return [];
  const scalar = scalarOf(field);
  return [
    `function ${packedSizeName(field)}(items: readonly ${scalar.type}[]): number {`,
    "  let size = 0;",
    ...indent(loop("items", `size += ${scalar.size("item")};`)),
    "  return size;",
    "}",
  ];
}

function packedSizeName(field: FieldModel): string {
  return `packedSizeOf${capitalized(field.property)}`;
}

function mapReaderName(field: FieldModel, names: Names): string {
  return `readEntryOf${names.classOf(field.type!)}`;
}

function condition(field: FieldModel, scalar: Scalar, value: string): string {
  return field.presence ? `${value} !== undefined` : scalar.set(value);
}

function tagOf(field: FieldModel): number {
  const length = field.map || ["bytes", "string", "message"].includes(field.kind);
  // Of a packed field this is the tag of the single form.
  return field.number * 8 + (length ? 2 : 0);
}

function tagSize(field: FieldModel): number {
  return varint(field.number * 8).length;
}

function writeTag(tag: number): string[] {
  return varint(tag).map((byte) => `b[at++] = ${byte};`);
}

function varint(value: number): number[] {
  const bytes: number[] = [];
  let rest = value;
  for (; rest > 127; rest = Math.floor(rest / 128)) bytes.push((rest % 128) + 128);
  return [...bytes, rest];
}

function loop(items: string, ...body: string[]): string[] {
  return body.length === 1
    ? [`for (const item of ${items}) ${body[0]}`]
    : [`for (const item of ${items}) {`, ...indent(body), "}"];
}

function guarded(test: string, body: string[]): string[] {
  return [`if (${test}) {`, ...indent(body), "}"];
}

export function indent(lines: readonly string[]): string[] {
  return lines.map((line) => `  ${line}`);
}
