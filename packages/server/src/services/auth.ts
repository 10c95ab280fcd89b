// The Auth service of a member that does not serve authentication yet: it tells the truth about the present
// state, which is "off" (a store in which it is on is refused at start), and refuses every change. Clients that
// were given a user name ask Authenticate first, and go on without a token when they hear that authentication
// is not enabled.

import {
  AuthStatusResponse,
  authService,
  decodeAuthenticateRequest,
  decodeAuthStatusRequest,
  encodeAuthStatusResponse,
  GrpcStatus,
} from "@etcd-ts/api";
import type { MethodTable } from "@etcd-ts/rpc";
import { catalogue } from "../errors.ts";
import { responseHeader } from "../header.ts";
import type { MemberContext } from "../seams.ts";
import { decodeRequest, refuse, UnaryReader } from "./unary.ts";

export class AuthService {
  readonly methods: MethodTable;

  constructor(context: MemberContext) {
    const methods: Record<string, MethodTable[string]> = {};
    for (const { path, name } of Object.values(authService)) {
      methods[path] = context.gate.unary((call) => refuse(call, notServed(name)));
    }
    methods[authService.authStatus.path] = context.gate.unary((call, message) => {
      if (decodeRequest(call, message, decodeAuthStatusRequest) === undefined) return;
      context.linearize(new StatusReader(context, call));
    });
    methods[authService.authenticate.path] = context.gate.unary((call, message) => {
      if (decodeRequest(call, message, decodeAuthenticateRequest) === undefined) return;
      context.linearize(new AuthenticateReader(context, call));
    });
    this.methods = methods;
  }
}

function notServed(name: string): { code: number; message: string } {
  return {
    code: GrpcStatus.unimplemented,
    message: `etcdserver: ${name} is not available: this server does not support authentication yet`,
  };
}

class StatusReader extends UnaryReader {
  override ready(): void {
    const { context, call } = this;
    const response = new AuthStatusResponse();
    response.header = responseHeader(context.header, context.machine.revision);
    response.enabled = context.machine.authEnabled;
    response.authRevision = context.machine.authRevision;
    call.respond(encodeAuthStatusResponse(response));
  }
}

/** As etcd does, only when it is certain: it may have been switched on by an entry that is not applied yet. */
class AuthenticateReader extends UnaryReader {
  override ready(): void {
    refuse(this.call, catalogue.authNotEnabled);
  }
}
