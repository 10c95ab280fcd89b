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
  /** The content type of the answer: that of the request, in its canonical form. */
  answerType: string = grpcContentType;
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
    let headerFault: string | undefined;
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
          else headerFault = `malformed grpc-timeout: ${timeout}`;
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
        case FieldKind.ordinary:
          if (field.name.endsWith("-bin")) headerFault ??= base64Fault(field);
          break;
        default:
      }
    }
    const required = (1 << FieldKind.method) | (1 << FieldKind.scheme) | (1 << FieldKind.path);
    if ((seen & required) !== required || this.path === "") this.malformed = true;
    if (this.malformed) return;
    this.isGrpc = isGrpcContentType(this.contentType);
    if (this.isGrpc && this.contentType !== grpcContentType) {
      const subtype = this.contentType!.slice(grpcContentType.length + 1);
      this.answerType = subtype === "" ? grpcContentType : `${grpcContentType}+${subtype}`;
    }
    this.refusal = this.#findRefusal(authorities, hosts, headerFault);
  }

  #findRefusal(
    authorities: number,
    hosts: number,
    headerFault: string | undefined,
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
    if (headerFault !== undefined) {
      return {
        httpStatus: 400,
        code: Status.internal,
        message: headerFault,
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

const grpcContentType = "application/grpc";

/** What is wrong with a binary value, in the words of Go. Padding may be missing. */
function base64Fault({ name, value }: HeaderField): string | undefined {
  const end = value.length % 4 === 0 ? value.replace(/={1,2}$/, "").length : value.length;
  let at = 0;
  while (at < end && /[A-Za-z0-9+/]/.test(value.charAt(at))) at++;
  if (at === end && end % 4 !== 1) return undefined;
  const offset = at < end ? at : end - 1;
  return `malformed binary metadata ${quote(value)} in header ${quote(name)}: illegal base64 data at input byte ${offset}`;
}

/** application/grpc, alone or followed by + or ; and more. Case matters, as it does to grpc-go. */
export function isGrpcContentType(contentType: string | undefined): boolean {
  if (contentType === grpcContentType) return true;
  if (contentType === undefined || !contentType.startsWith(grpcContentType)) return false;
  const next = contentType.charAt(grpcContentType.length);
  return next === "+" || next === ";";
}
