// The standard health service. Only the server as a whole, "", is known; it says SERVING from the moment
// when calls are answered at all.

import {
  decodeHealthCheckRequest,
  decodeHealthListRequest,
  encodeHealthCheckResponse,
  encodeHealthListResponse,
  HealthCheckResponse,
  HealthListResponse,
  ServingStatus,
} from "@etcd-ts/api";
import type { MethodTable, ServerCall, StreamHandler } from "@etcd-ts/rpc";
import { catalogue } from "../errors.ts";
import type { MemberContext } from "../seams.ts";
import { decodeRequest, refuse } from "./unary.ts";

export class HealthService {
  readonly methods: MethodTable;
  readonly #watching: Set<ServerCall> = new Set();
  #status: ServingStatus = ServingStatus.SERVING;

  constructor(context: MemberContext) {
    const { gate } = context;
    this.methods = {
      "/grpc.health.v1.Health/Check": gate.unary((call, message) => this.#check(call, message)),
      "/grpc.health.v1.Health/List": gate.unary((call, message) => this.#list(call, message)),
      "/grpc.health.v1.Health/Watch": gate.stream("server_stream", (call) => this.#watch(call)),
    };
  }

  /** Tells all who watch when it changed. */
  setStatus(status: ServingStatus): void {
    if (status === this.#status) return;
    this.#status = status;
    for (const call of this.#watching) call.send(statusMessage(status));
  }

  stop(): void {
    this.setStatus(ServingStatus.NOT_SERVING);
    this.#watching.clear();
  }

  #check(call: ServerCall, message: Uint8Array): void {
    const request = decodeRequest(call, message, decodeHealthCheckRequest);
    if (request === undefined) return;
    if (request.service !== "") refuse(call, catalogue.unknownHealthService);
    else call.respond(statusMessage(this.#status));
  }

  #list(call: ServerCall, message: Uint8Array): void {
    if (decodeRequest(call, message, decodeHealthListRequest) === undefined) return;
    const response = new HealthListResponse();
    response.statuses.set("", statusOf(this.#status));
    call.respond(encodeHealthListResponse(response));
  }

  #watch(call: ServerCall): StreamHandler {
    const done = () => this.#watching.delete(call);
    return {
      onMessage: (message) => {
        const request = decodeHealthCheckRequest(message);
        if (request.service !== "") {
          call.send(statusMessage(ServingStatus.SERVICE_UNKNOWN));
          return;
        }
        this.#watching.add(call);
        call.send(statusMessage(this.#status));
      },
      onHalfClose() {},
      onCancel: done,
      onDrain() {},
    };
  }
}

function statusOf(status: ServingStatus): HealthCheckResponse {
  const response = new HealthCheckResponse();
  response.status = status;
  return response;
}

function statusMessage(status: ServingStatus): Uint8Array {
  return encodeHealthCheckResponse(statusOf(status));
}
