// Protobuf's JSON form of the messages, as etcd's HTTP gateway reads and writes it: declared field names,
// defaults left out, 64-bit integers as strings of digits, bytes in base64, enums by name. Reading also takes
// lowerCamelCase names, integers as numbers (all 64 bits of them: this is why `JSON.parse` does not do),
// URL-safe or unpadded base64 and enum numbers; it passes over unknown fields and `null`.
//
// This is the package's second door, `@etcd-ts/api/json`: a program that speaks no JSON never loads it.

import { type Bytes, base64ToBytes, bytesToBase64 } from "@etcd-ts/base";
import { jsonMessages } from "./gen/json-tables.ts";
import { type JsonError, JsonText } from "./json-text.ts";
import type { JsonField, JsonMessage } from "./json-types.ts";

export { JsonDocuments } from "./json-documents.ts";
export { JsonError } from "./json-text.ts";

type Fields = Record<string, unknown>;

/** The message of full name `type`, such as `etcdserverpb.RangeResponse`, as one line without blanks. */
export function toJson(type: string, message: object): string {
  return writeMessage(tableOf(type), message as Fields);
}

/**
 * Reads the first document of `text` as a message of full name `type`. What follows the document is
 * ignored, and no document at all is the empty message, as the gateway has it. Throws `JsonError`.
 */
export function fromJson(type: string, text: string): object {
  const table = tableOf(type);
  const source = new JsonText(text);
  return source.atEnd() ? table.create() : readMessage(table, source, type);
}

function tableOf(type: string): JsonMessage {
  const table = jsonMessages.get(type);
  if (table === undefined) throw new RangeError(`${type} is no message`);
  return table;
}

// --- writing --------------------------------------------------------------------------------------

function writeMessage(table: JsonMessage, message: Fields): string {
  let json = "{";
  for (const field of table.fields) {
    const value = writeField(field, message[field.property]);
    if (value === undefined) continue;
    json += json.length > 1 ? `,"${field.name}":${value}` : `"${field.name}":${value}`;
  }
  return `${json}}`;
}

function writeField(field: JsonField, value: unknown): string | undefined {
  switch (field.shape) {
    case "plain":
      return isDefault(value) ? undefined : writeValue(field, value);
    case "optional":
      return value === undefined ? undefined : writeValue(field, value);
    case "list": {
      const items = value as readonly unknown[];
      if (items.length === 0) return undefined;
      return `[${items.map((item) => writeValue(field, item)).join(",")}]`;
    }
    case "map": {
      const map = value as ReadonlyMap<string, unknown>;
      if (map.size === 0) return undefined;
      const keys = [...map.keys()].sort();
      const members = keys.map(
        (key) => `${JSON.stringify(key)}:${writeValue(field, map.get(key))}`,
      );
      return `{${members.join(",")}}`;
    }
    default:
      throw field.shape satisfies never;
  }
}

function isDefault(value: unknown): boolean {
  if (value instanceof Uint8Array) return value.length === 0;
  return value === 0 || value === 0n || value === "" || value === false;
}

function writeValue(field: JsonField, value: unknown): string {
  switch (field.kind) {
    case "bytes":
      return `"${bytesToBase64(value as Bytes)}"`;
    case "string":
      return JSON.stringify(value);
    case "bool":
    case "int32":
    case "uint32":
      return String(value);
    case "int64":
    case "uint64":
      return `"${value}"`;
    case "big-int64":
      return `"${BigInt.asIntN(64, value as bigint)}"`;
    case "big-uint64":
      return `"${BigInt.asUintN(64, value as bigint)}"`;
    case "enum": {
      const name = field.names?.[value as number];
      return name === undefined ? String(value) : `"${name}"`;
    }
    case "message":
      return writeMessage(tableOf(field.message ?? ""), value as Fields);
    default:
      throw field.kind satisfies never;
  }
}

// --- reading --------------------------------------------------------------------------------------

const fieldsByName = new WeakMap<JsonMessage, ReadonlyMap<string, JsonField>>();

/** Fields by declared name and by lowerCamelCase name. */
function namesOf(table: JsonMessage): ReadonlyMap<string, JsonField> {
  let names = fieldsByName.get(table);
  if (names === undefined) {
    names = new Map([
      ...table.fields.map((field) => [lowerCamel(field.name), field] as const),
      ...table.fields.map((field) => [field.name, field] as const),
    ]);
    fieldsByName.set(table, names);
  }
  return names;
}

function lowerCamel(name: string): string {
  return name.replace(/_+([a-zA-Z0-9]?)/g, (_all, next: string) => next.toUpperCase());
}

function readMessage(table: JsonMessage, source: JsonText, type: string): object {
  const message = table.create() as Fields;
  const names = namesOf(table);
  const seen = new Set<JsonField>();
  const oneofs = new Set<string>();
  source.members((name, position) => {
    const field = names.get(name);
    if (field === undefined) {
      source.skipValue();
      return;
    }
    if (seen.has(field)) throw source.error(`duplicate field ${JSON.stringify(name)}`, position);
    seen.add(field);
    if (source.null()) return;
    if (field.oneof !== undefined) {
      if (oneofs.has(field.oneof)) {
        const what = `error parsing ${JSON.stringify(name)}, oneof ${type}.${field.oneof} is already set`;
        throw source.error(what, position);
      }
      oneofs.add(field.oneof);
    }
    readField(field, message, source);
  });
  return message;
}

function readField(field: JsonField, message: Fields, source: JsonText): void {
  switch (field.shape) {
    case "plain":
    case "optional": {
      const value = readValue(field, source);
      if (value !== undefined) message[field.property] = value;
      return;
    }
    case "list": {
      const items = message[field.property] as unknown[];
      source.items(() => {
        const value = readValue(field, source);
        if (value !== undefined) items.push(value);
      });
      return;
    }
    case "map": {
      const map = message[field.property] as Map<string, unknown>;
      source.members((key, position) => {
        if (map.has(key)) throw source.error(`duplicate map key ${JSON.stringify(key)}`, position);
        map.set(key, readValue(field, source));
      });
      return;
    }
    default:
      throw field.shape satisfies never;
  }
}

/** `undefined` for an enum name that we do not know, which is passed over as an unknown field is. */
function readValue(field: JsonField, source: JsonText): unknown {
  const position = source.position;
  const invalid = (): JsonError =>
    source.error(
      `invalid value for ${field.kind.replace("big-", "")} field ${field.name}`,
      position,
    );
  switch (field.kind) {
    case "message": {
      const type = field.message ?? "";
      return readMessage(tableOf(type), source, type);
    }
    case "bool": {
      const value = source.boolean();
      if (value === undefined) throw invalid();
      return value;
    }
    case "string": {
      const value = source.string();
      if (value === undefined) throw invalid();
      return value;
    }
    case "bytes": {
      const value = bytesOf(source.string());
      if (value === undefined) throw invalid();
      return value;
    }
    case "enum": {
      const name = source.string();
      if (name !== undefined) {
        const value = field.names?.indexOf(name) ?? -1;
        return value < 0 ? undefined : value;
      }
      const value = integerOf(source.number());
      if (value === undefined || BigInt.asIntN(32, value) !== value) throw invalid();
      return Number(value);
    }
    default: {
      const value = integerOf(source.string() ?? source.number());
      const checked = value === undefined ? undefined : inRange(field.kind, value);
      if (checked === undefined) throw invalid();
      return checked;
    }
  }
}

function inRange(
  kind: Exclude<JsonField["kind"], "message" | "bool" | "string" | "bytes" | "enum">,
  value: bigint,
): number | bigint | undefined {
  switch (kind) {
    case "int32":
      return BigInt.asIntN(32, value) === value ? Number(value) : undefined;
    case "uint32":
      return BigInt.asUintN(32, value) === value ? Number(value) : undefined;
    case "int64":
    case "uint64": {
      const number = Number(value);
      return Number.isSafeInteger(number) && (kind === "int64" || number >= 0) ? number : undefined;
    }
    case "big-int64":
      return BigInt.asIntN(64, value) === value ? value : undefined;
    case "big-uint64":
      return BigInt.asUintN(64, value) === value ? value : undefined;
    default:
      throw kind satisfies never;
  }
}

/** The integer that a JSON number stands for: `5`, `-5`, `5.0`, `5e2`; not `5.1`. */
function integerOf(text: string | undefined): bigint | undefined {
  if (text === undefined) return undefined;
  const parts = /^(-?)(0|[1-9]\d*)(?:\.(\d+))?(?:[eE]([+-]?\d+))?$/.exec(text);
  if (parts === null) return undefined;
  const [, sign, whole = "", fraction = "", exponent = "0"] = parts;
  // Digits times ten to the power of `scale`; a sound one has no more than 20 digits.
  const digits = (whole + fraction).replace(/0+$/, "");
  if (digits.replace(/^0+/, "") === "") return 0n;
  const scale = Number(exponent) + whole.length - digits.length;
  if (scale < 0 || scale > 20 || digits.length > 40) return undefined;
  const value = BigInt(digits) * 10n ** BigInt(scale);
  return sign === "-" ? -value : value;
}

/** Standard or URL-safe alphabet, padding where Go asks for it: in full or not at all. */
function bytesOf(text: string | undefined): Bytes | undefined {
  if (text === undefined) return undefined;
  const compact = text.replace(/[\r\n]/g, "");
  const body = compact.replace(/={1,2}$/, "");
  if (body.length !== compact.length && compact.length % 4 !== 0) return undefined;
  if (body.length % 4 === 1) return undefined;
  const urlSafe = /[-_]/.test(body);
  if (!(urlSafe ? /^[A-Za-z0-9_-]*$/ : /^[A-Za-z0-9+/]*$/).test(body)) return undefined;
  return base64ToBytes(body);
}
