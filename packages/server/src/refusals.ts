// Answers that are no results: a gRPC status and a text. Nearly all are rows of the catalogue (errors.ts).

import { GrpcStatus } from "@etcd-ts/api";

export interface Refusal {
  /** The status that goes over the wire, which for a few rows is not the one that clients show. */
  readonly code: number;
  readonly message: string;
}

export function undecodable(reason: string): Refusal {
  return { code: GrpcStatus.internal, message: `grpc: error unmarshalling request: ${reason}` };
}

export function undecodableInStream(reason: string): Refusal {
  return {
    code: GrpcStatus.internal,
    message: `grpc: failed to unmarshal the received message: ${reason}`,
  };
}

export function unknownFailure(reason: string): Refusal {
  return { code: GrpcStatus.unknown, message: reason };
}
