// gRPC status codes, the error that carries one, and the percent-encoding of `grpc-message`.

import { bytesToUtf8, utf8ToBytes } from "@etcd-ts/base";

/** The codes of gRPC. Numbers travel; `statusNames` has the names that metrics and logs print. */
export const Status = {
  ok: 0,
  cancelled: 1,
  unknown: 2,
  invalidArgument: 3,
  deadlineExceeded: 4,
  notFound: 5,
  alreadyExists: 6,
  permissionDenied: 7,
  resourceExhausted: 8,
  failedPrecondition: 9,
  aborted: 10,
  outOfRange: 11,
  unimplemented: 12,
  internal: 13,
  unavailable: 14,
  dataLoss: 15,
  unauthenticated: 16,
} as const;
export type Status = (typeof Status)[keyof typeof Status];

/** Names by code, spelled as gRPC for Go prints them. */
export const statusNames: readonly string[] = [
  "OK",
  "Canceled",
  "Unknown",
  "InvalidArgument",
  "DeadlineExceeded",
  "NotFound",
  "AlreadyExists",
  "PermissionDenied",
  "ResourceExhausted",
  "FailedPrecondition",
  "Aborted",
  "OutOfRange",
  "Unimplemented",
  "Internal",
  "Unavailable",
  "DataLoss",
  "Unauthenticated",
];

/** What a call ended with when that was not OK. `message` is the server's text, undecorated. */
export class RpcError extends Error {
  override readonly name = "RpcError";
  /** One of `Status`, or a number that this version does not know. */
  readonly code: number;
  /** Trailing metadata of the server; empty when the failure was found on this side. */
  readonly trailers: Metadata;

  constructor(code: number, message: string, trailers: Metadata = [], options?: ErrorOptions) {
    super(message, options);
    this.code = code;
    this.trailers = trailers;
  }
}

/** Name and value pairs in the order of the wire. Names are lower case, values latin1 text. */
export type Metadata = readonly (readonly [name: string, value: string])[];

/** UTF-8, with everything outside the printable ASCII range and `%` itself as %XX. */
export function encodeGrpcMessage(text: string): string {
  if (plainMessage.test(text)) return text;
  const bytes = utf8ToBytes(text);
  let encoded = "";
  for (let i = 0; i < bytes.length; i++) {
    const byte = bytes[i]!;
    if (byte >= 0x20 && byte <= 0x7e && byte !== 0x25) encoded += String.fromCharCode(byte);
    else encoded += `%${(byte >>> 4).toString(16)}${(byte & 15).toString(16)}`.toUpperCase();
  }
  return encoded;
}

/** The reverse; what is no valid escape stays as it is. */
export function decodeGrpcMessage(text: string): string {
  if (!text.includes("%")) return text;
  const bytes = new Uint8Array(text.length);
  let length = 0;
  for (let i = 0; i < text.length; i++) {
    const code = text.charCodeAt(i);
    if (code === 0x25 && i + 2 < text.length + 0) {
      const value = hexPair(text, i + 1);
      if (value >= 0) {
        bytes[length++] = value;
        i += 2;
        continue;
      }
    }
    bytes[length++] = code;
  }
  return bytesToUtf8(bytes, 0, length);
}

const plainMessage = /^[ -$&-~]*$/;

function hexPair(text: string, at: number): number {
  const pair = text.slice(at, at + 2);
  return /^[0-9a-fA-F]{2}$/.test(pair) ? Number.parseInt(pair, 16) : -1;
}
