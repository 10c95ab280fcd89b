// Hot: what a header block of a server says: the headers of an answer, its trailers, or both in one
// block (an answer without messages). Immutable and shared like `RequestHead`.

import { FieldKind, type HeaderField } from "./header-field.ts";
import { isGrpcContentType } from "./request-head.ts";
import { decodeGrpcMessage, type Metadata, Status } from "./status.ts";

export class ResponseHead {
  readonly fields: readonly HeaderField[];
  /** 0: none, as in trailers. */
  httpStatus = 0;
  contentType: string | undefined = undefined;
  /** -1: none. */
  grpcStatus = -1;
  grpcMessage = "";
  /** Of the messages; "" is identity. */
  encoding = "";
  malformed = false;
  #metadata: Metadata | undefined = undefined;

  constructor(fields: readonly HeaderField[]) {
    this.fields = fields;
    let regularSeen = false;
    for (let i = 0; i < fields.length; i++) {
      const field = fields[i]!;
      const kind = field.kind;
      if (kind > FieldKind.unknownPseudo) regularSeen = true;
      else if (kind !== FieldKind.status || regularSeen || this.httpStatus !== 0) {
        this.malformed = true;
      }
      switch (kind) {
        case FieldKind.status:
          this.httpStatus = /^[1-9][0-9]{2}$/.test(field.value) ? Number(field.value) : -1;
          if (this.httpStatus < 0) this.malformed = true;
          break;
        case FieldKind.contentType:
          this.contentType = field.value;
          break;
        case FieldKind.grpcStatus:
          this.grpcStatus = /^[0-9]{1,9}$/.test(field.value) ? Number(field.value) : Status.unknown;
          break;
        case FieldKind.grpcMessage:
          this.grpcMessage = decodeGrpcMessage(field.value);
          break;
        case FieldKind.grpcEncoding:
          this.encoding = field.value === "identity" ? "" : field.value;
          break;
        case FieldKind.connectionSpecific:
        case FieldKind.malformed:
          this.malformed = true;
          break;
        default:
      }
    }
  }

  get isGrpc(): boolean {
    return isGrpcContentType(this.contentType);
  }

  /** What belongs to the application, `grpc-status-details-bin` included. */
  get metadata(): Metadata {
    if (this.#metadata === undefined) {
      const list: (readonly [string, string])[] = [];
      for (const { kind, name, value } of this.fields) {
        if (
          kind === FieldKind.ordinary ||
          kind === FieldKind.userAgent ||
          kind === FieldKind.grpcStatusDetails
        ) {
          list.push([name, value]);
        }
      }
      this.#metadata = list.length === 0 ? noMetadata : list;
    }
    return this.#metadata;
  }
}

const noMetadata: Metadata = [];

/** What an HTTP status means for a gRPC call that got no status of its own. */
export function statusOfHttp(httpStatus: number): number {
  switch (httpStatus) {
    case 400:
      return Status.internal;
    case 401:
      return Status.unauthenticated;
    case 403:
      return Status.permissionDenied;
    case 404:
      return Status.unimplemented;
    case 429:
    case 502:
    case 503:
    case 504:
      return Status.unavailable;
    default:
      return Status.unknown;
  }
}
