// What the tables of services say about a method.

import type { Bytes } from "@etcd-ts/base";

export type MethodKind = "unary" | "serverStream" | "clientStream" | "bidiStream";

export interface Method<Request, Response> {
  /** Such as `Range`. */
  readonly name: string;
  /** Such as `etcdserverpb.KV`. */
  readonly service: string;
  /** Such as `/etcdserverpb.KV/Range`. */
  readonly path: string;
  readonly kind: MethodKind;
  /** Paths of the HTTP/JSON gateway, all for POST; none for methods that only gRPC reaches. */
  readonly gateway: readonly string[];
  /** Full proto names, for `@etcd-ts/api/json`. */
  readonly requestType: string;
  readonly responseType: string;
  // Methods rather than function properties, so that every method is an `AnyMethod`.
  decodeRequest(bytes: Bytes): Request;
  encodeRequest(message: Request): Bytes;
  decodeResponse(bytes: Bytes): Response;
  encodeResponse(message: Response): Bytes;
}

export type AnyMethod = Method<object, object>;
