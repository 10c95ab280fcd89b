// A member without authentication: what clients that know of users hear.

import assert from "node:assert/strict";
import { test } from "node:test";
import {
  AuthenticateRequest,
  AuthStatusRequest,
  authService,
  decodeAuthStatusResponse,
  encodeAuthenticateRequest,
  encodeAuthStatusRequest,
} from "@etcd-ts/api";
import { MemberWorld } from "./support/member-world.ts";

test("Authenticate says that authentication is not enabled, AuthStatus that it is off", async () => {
  const world = await MemberWorld.started();
  await world.put("a", "b");
  const request = new AuthenticateRequest();
  request.name = "root";
  request.password = "secret";
  await assert.rejects(
    world.call("/etcdserverpb.Auth/Authenticate", encodeAuthenticateRequest(request)),
    { code: 9, message: "etcdserver: authentication is not enabled" },
  );
  const path = "/etcdserverpb.Auth/AuthStatus";
  const body = encodeAuthStatusRequest(new AuthStatusRequest());
  const status = decodeAuthStatusResponse(await world.call(path, body));
  assert.equal(status.enabled, false);
  assert.equal(status.authRevision, 1);
  assert.equal(status.header?.revision, 2);
  assert.equal(status.header?.memberId, world.member.memberId);
  await world.stop();
});

test("AuthStatus tells the revision of a store in which authentication was on once", async () => {
  const world = await MemberWorld.started();
  const revision = new Uint8Array(8);
  revision[7] = 5;
  world.member.machine.backend.put("auth", Buffer.from("authRevision"), revision);
  const body = encodeAuthStatusRequest(new AuthStatusRequest());
  const answer = await world.call("/etcdserverpb.Auth/AuthStatus", body);
  assert.equal(decodeAuthStatusResponse(answer).authRevision, 5);
  await world.stop();
});

test("every other method of Auth is refused, by its name", async () => {
  const world = await MemberWorld.started();
  const others = Object.values(authService).filter(
    ({ name }) => name !== "AuthStatus" && name !== "Authenticate",
  );
  assert.equal(others.length, 15);
  for (const { path, name } of others) {
    await assert.rejects(world.call(path, new Uint8Array(0)), {
      code: 12,
      message: `etcdserver: ${name} is not available: this server does not support authentication yet`,
    });
  }
  await world.stop();
});
