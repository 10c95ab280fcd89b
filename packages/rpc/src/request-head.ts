// Hot: what the header list of a request says, found out in one pass. A head is immutable and may be
// shared by many calls (see `HeadCache`).
//
// Two kinds of faults: a malformed list (RFC 9113 §8.1.1) is a stream error; a well-formed one that is no
// acceptable gRPC request gets an answer, in the order of checks and with the texts of grpc-go.

import { parseGrpcTimeout, quote } from "./grpc-timeout.ts";
import { FieldKind, type HeaderField } from "./header-field.ts";
import { Status } from "./status.ts";

/** An answer that refuses a request before any method sees it. */
export interface Refusal {
  readonly httpStatus: number;
  readonly code: number;
  readonly message: string;
}

export class RequestHead {
  readonly fields: readonly HeaderField[];
  method = "";
  scheme = "";
  path = "";
  authority = "";
  /** The field of `:path`, whose memo is free for the server. */
  pathField: HeaderField | undefined = undefined;
  contentType: string | undefined = undefined;
  /** Of the request's messages; "" is identity. */
  encoding = "";
  /** -1: none given. */
  timeoutMs = -1;
  /** -1: none given. */
  contentLength = -1;
  /** RFC 9113 size of the list. */
  readonly listBytes: number;
  malformed = false;
  isGrpc = false;
  refusal: Refusal | undefined = undefined;

  constructor(fields: readonly HeaderField[], listBytes: number) {
    this.fields = fields;
    this.listBytes = listBytes;
    this.#read();
  }

  #read(): void {
    const { fields } = this;
    let regularSeen = false;
    let authorities = 0;
    let hosts = 0;
    let timeoutFault: string | undefined;
    let seen = 0;
    for (let i = 0; i < fields.length; i++) {
      const field = fields[i]!;
      const kind = field.kind;
      if (kind <= FieldKind.unknownPseudo) {
        // Pseudo-headers come first, once each, and are the four of requests (§8.3.1).
        if (regularSeen || kind >= FieldKind.status || (seen & (1 << kind)) !== 0) {
          if (kind !== FieldKind.authority || regularSeen) this.malformed = true;
        }
        seen |= 1 << kind;
      } else {
        regularSeen = true;
      }
      switch (kind) {
        case FieldKind.method:
          this.method = field.value;
          break;
        case FieldKind.scheme:
          this.scheme = field.value;
          break;
        case FieldKind.authority:
          this.authority = field.value;
          authorities++;
          break;
        case FieldKind.path:
          this.path = field.value;
          this.pathField = field;
          break;
        case FieldKind.contentType:
          this.contentType = field.value;
          break;
        case FieldKind.te:
          if (field.value !== "trailers") this.malformed = true;
          break;
        case FieldKind.grpcTimeout: {
          const timeout = parseGrpcTimeout(field.value);
          if (typeof timeout === "number") this.timeoutMs = timeout;
          else timeoutFault = timeout;
          break;
        }
        case FieldKind.grpcEncoding:
          this.encoding = field.value === "identity" ? "" : field.value;
          break;
        case FieldKind.contentLength: {
          const length = /^[0-9]{1,15}$/.test(field.value) ? Number(field.value) : -1;
          if (length < 0 || (this.contentLength >= 0 && this.contentLength !== length)) {
            this.malformed = true;
          }
          this.contentLength = length;
          break;
        }
        case FieldKind.host:
          hosts++;
          if (this.authority === "") this.authority = field.value;
          break;
        case FieldKind.connectionSpecific:
        case FieldKind.malformed:
          this.malformed = true;
          break;
        default:
      }
    }
    const required = (1 << FieldKind.method) | (1 << FieldKind.scheme) | (1 << FieldKind.path);
    if ((seen & required) !== required || this.path === "") this.malformed = true;
    if (this.malformed) return;
    this.isGrpc = isGrpcContentType(this.contentType);
    this.refusal = this.#findRefusal(authorities, hosts, timeoutFault);
  }

  #findRefusal(
    authorities: number,
    hosts: number,
    timeoutFault: string | undefined,
  ): Refusal | undefined {
    if (authorities > 1 || hosts > 1) {
      return {
        httpStatus: 400,
        code: Status.internal,
        message: `num values of :authority: ${authorities}, num values of host: ${hosts}, both must only have 1 value as per HTTP/2 spec`,
      };
    }
    if (!this.isGrpc) {
      return {
        httpStatus: 415,
        code: Status.invalidArgument,
        message: `invalid gRPC request content-type ${quote(this.contentType ?? "")}`,
      };
    }
    if (timeoutFault !== undefined) {
      return {
        httpStatus: 400,
        code: Status.internal,
        message: `malformed grpc-timeout: ${timeoutFault}`,
      };
    }
    if (this.method !== "POST") {
      return {
        httpStatus: 405,
        code: Status.internal,
        message: `Received a HEADERS frame with :method ${quote(this.method)} which should be POST`,
      };
    }
    return undefined;
  }
}

/** application/grpc, alone or followed by + or ; and more. */
export function isGrpcContentType(contentType: string | undefined): boolean {
  if (contentType === "application/grpc") return true;
  if (contentType === undefined || !contentType.toLowerCase().startsWith("application/grpc")) {
    return false;
  }
  const next = contentType.charAt("application/grpc".length);
  return next === "" || next === "+" || next === ";";
}
