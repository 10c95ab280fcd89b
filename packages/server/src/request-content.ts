// Requests of the KV service as text, for the log: the fields that are set, by their names in the .proto
// file, as protobuf's text format has them. A value is told by its size only: it may be secret or large.
//
//     key:"a" value_size:1 prev_kv:true
//     compare:<target:MOD key:"b" mod_revision:3 > success:<request_put:<key:"a" value_size:1 > >

import {
  compareResultNames,
  compareTargetNames,
  decodeDeleteRangeRequest,
  decodePutRequest,
  decodeRangeRequest,
  decodeTxnRequest,
  sortOrderNames,
  sortTargetNames,
} from "@etcd-ts/api";
import { type Bytes, WireError } from "@etcd-ts/base";

/** By path of the method. */
const decoders: Readonly<Record<string, (bytes: Bytes) => object>> = {
  "/etcdserverpb.KV/Range": decodeRangeRequest,
  "/etcdserverpb.KV/Put": decodePutRequest,
  "/etcdserverpb.KV/DeleteRange": decodeDeleteRangeRequest,
  "/etcdserverpb.KV/Txn": decodeTxnRequest,
};

const enumNames: Readonly<Record<string, readonly string[]>> = {
  sortOrder: sortOrderNames,
  sortTarget: sortTargetNames,
  result: compareResultNames,
  target: compareTargetNames,
};

/** Longer contents are cut: a log line is no dump. */
const textLengthMax = 4096;

/** "" when the method is none of those, or the request is no such message. */
export function requestContent(path: string, message: Bytes): string {
  const decode = decoders[path];
  if (decode === undefined) return "";
  let text: string;
  try {
    text = fieldsText(decode(message)).trimEnd();
  } catch (error) {
    if (!(error instanceof WireError)) throw error;
    return "";
  }
  return text.length > textLengthMax ? `${text.slice(0, textLengthMax)}…` : text;
}

function fieldsText(message: object): string {
  let text = "";
  for (const [name, value] of Object.entries(message)) {
    if (Array.isArray(value)) for (const item of value) text += fieldText(name, item);
    else text += fieldText(name, value);
  }
  return text;
}

/** A field with a space behind it; nothing when it has its default. */
function fieldText(name: string, value: unknown): string {
  const key = name.replace(/[A-Z]/g, (letter) => `_${letter.toLowerCase()}`);
  if (value === undefined || value === 0 || value === 0n || value === false) return "";
  if (value instanceof Uint8Array) {
    if (value.length === 0) return "";
    return name === "value" ? `value_size:${value.length} ` : `${key}:${quoted(value)} `;
  }
  if (typeof value === "object" && value !== null) return `${key}:<${fieldsText(value)}> `;
  if (typeof value === "number") return `${key}:${enumNames[name]?.[value] ?? value} `;
  return `${key}:${String(value)} `;
}

const escapes: Readonly<Record<number, string>> = {
  9: "\\t",
  10: "\\n",
  13: "\\r",
  34: '\\"',
  92: "\\\\",
};

function quoted(bytes: Bytes): string {
  let text = '"';
  for (const byte of bytes) {
    if (text.length > textLengthMax) break;
    const known = escapes[byte];
    if (known !== undefined) text += known;
    else if (byte >= 32 && byte < 127) text += String.fromCharCode(byte);
    else text += `\\${byte.toString(8).padStart(3, "0")}`;
  }
  return `${text}"`;
}
