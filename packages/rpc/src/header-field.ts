// One header field, as it sits in HPACK tables and in header lists. A connection decodes the same few
// fields over and over; since the dynamic table hands out the same objects again, whatever can be found
// out about a field is found out once, when it is created: its kind, whether it is well formed, and (in
// `memo`) what the owner of the connection made of its value.

/** What a field means to us. Kinds up to `unknownPseudo` are pseudo-headers. */
export const FieldKind = {
  method: 0,
  scheme: 1,
  authority: 2,
  path: 3,
  status: 4,
  unknownPseudo: 5,
  /** Metadata of the application. */
  ordinary: 6,
  contentType: 7,
  te: 8,
  grpcTimeout: 9,
  grpcEncoding: 10,
  grpcAcceptEncoding: 11,
  contentLength: 12,
  host: 13,
  userAgent: 14,
  grpcStatus: 15,
  grpcMessage: 16,
  grpcStatusDetails: 17,
  /** connection, keep-alive, proxy-connection, transfer-encoding, upgrade (RFC 9113 §8.2.2). */
  connectionSpecific: 18,
  /** A name or value with characters that are not allowed (RFC 9113 §8.2.1). */
  malformed: 19,
} as const;
export type FieldKind = (typeof FieldKind)[keyof typeof FieldKind];

const kinds: ReadonlyMap<string, FieldKind> = new Map<string, FieldKind>([
  [":method", FieldKind.method],
  [":scheme", FieldKind.scheme],
  [":authority", FieldKind.authority],
  [":path", FieldKind.path],
  [":status", FieldKind.status],
  ["content-type", FieldKind.contentType],
  ["te", FieldKind.te],
  ["grpc-timeout", FieldKind.grpcTimeout],
  ["grpc-encoding", FieldKind.grpcEncoding],
  ["grpc-accept-encoding", FieldKind.grpcAcceptEncoding],
  ["content-length", FieldKind.contentLength],
  ["host", FieldKind.host],
  ["user-agent", FieldKind.userAgent],
  ["grpc-status", FieldKind.grpcStatus],
  ["grpc-message", FieldKind.grpcMessage],
  ["grpc-status-details-bin", FieldKind.grpcStatusDetails],
  ["connection", FieldKind.connectionSpecific],
  ["keep-alive", FieldKind.connectionSpecific],
  ["proxy-connection", FieldKind.connectionSpecific],
  ["transfer-encoding", FieldKind.connectionSpecific],
  ["upgrade", FieldKind.connectionSpecific],
]);

export class HeaderField {
  /** As latin1 text, like `value`. */
  readonly name: string;
  readonly value: string;
  /** As HPACK and RFC 9113 count it: both lengths and 32. */
  readonly size: number;
  readonly kind: FieldKind;
  /** What the owner of the connection derived from the value; undefined at first. */
  memo: unknown = undefined;

  constructor(name: string, value: string) {
    this.name = name;
    this.value = value;
    this.size = name.length + value.length + 32;
    this.kind = valueIsValid(value) ? kindOf(name) : FieldKind.malformed;
  }
}

function kindOf(name: string): FieldKind {
  const known = kinds.get(name);
  if (known !== undefined) return known;
  if (name.charCodeAt(0) === 0x3a) return FieldKind.unknownPseudo;
  return nameIsValid(name) ? FieldKind.ordinary : FieldKind.malformed;
}

/** Visible ASCII, no capitals, no colon. */
function nameIsValid(name: string): boolean {
  if (name.length === 0) return false;
  for (let i = 0; i < name.length; i++) {
    const c = name.charCodeAt(i);
    if (c <= 0x20 || c >= 0x7f || c === 0x3a || (c >= 0x41 && c <= 0x5a)) return false;
  }
  return true;
}

/**
 * No NUL, LF, CR. White space at the ends, which RFC 9113 forbids too, is let through: gRPC says that
 * receivers may strip it, and etcd accepts it.
 */
function valueIsValid(value: string): boolean {
  for (let i = 0; i < value.length; i++) {
    const c = value.charCodeAt(i);
    if (c <= 0x0d && (c === 0 || c === 0x0a || c === 0x0d)) return false;
  }
  return true;
}
