// Answers that are no results: a gRPC status and a text. Nearly all are rows of the catalogue (errors.ts).

import { GrpcStatus } from "@etcd-ts/api";

export interface Refusal {
  /** The status that goes over the wire, which for a few rows is not the one that clients show. */
  readonly code: number;
  readonly message: string;
}

/** A unary request that is no message; `reason` is our decoder's. */
export function undecodable(reason: string): Refusal {
  const text = protobufText(reason);
  return { code: GrpcStatus.internal, message: `grpc: error unmarshalling request: ${text}` };
}

/** The same in a stream. */
export function undecodableInStream(reason: string): Refusal {
  const text = protobufText(reason);
  return {
    code: GrpcStatus.internal,
    message: `grpc: failed to unmarshal the received message: ${text}`,
  };
}

/** Go's protobuf tells three things apart, in these words. */
function protobufText(reason: string): string {
  switch (reason) {
    case "text is not valid UTF-8":
      return "string field contains invalid UTF-8";
    case "messages are nested too deeply":
      return "proto: exceeded maximum recursion depth";
    default:
      return "proto: cannot parse invalid wire-format data";
  }
}

export function unknownFailure(reason: string): Refusal {
  return { code: GrpcStatus.unknown, message: reason };
}
