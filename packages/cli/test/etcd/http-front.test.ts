// The HTTP side without a socket: what becomes of a request before an endpoint sees it.

import assert from "node:assert/strict";
import { test } from "node:test";
import { silentLog } from "@etcd-ts/node";
import type { HttpEndpoints } from "@etcd-ts/server";
import { type FrontAnswer, type FrontKind, HttpFront } from "../../src/etcd/http-front.ts";

interface Asked {
  readonly method?: string;
  readonly kind?: FrontKind;
  readonly host?: string;
}

/** A front whose only endpoint is `/version`, which says what it was asked for. */
function ask(target: string, { method = "GET", kind = "client", host = "good" }: Asked = {}) {
  const endpoints: Pick<HttpEndpoints, "handle"> = {
    handle: async (request) =>
      request.target.startsWith("/version")
        ? { status: 200, headers: {}, body: request.target }
        : undefined,
  };
  const front = new HttpFront({
    endpoints: endpoints as HttpEndpoints,
    metrics: () => "",
    gatewayWanted: true,
    debugVars: () => "{}",
    cors: ["http://other:1"],
    hostWhitelist: ["good"],
    log: silentLog,
  });
  const header = (name: string): string | undefined => (name === "host" ? host : undefined);
  return front.answer({ kind, secure: false, method, target, header });
}

function moved(location: string, href = location): FrontAnswer {
  return {
    status: 301,
    headers: { Location: location, "Content-Type": "text/html; charset=utf-8" },
    body: `<a href="${href}">Moved Permanently</a>.\n\n`,
  };
}

test("a path with empty or dotted parts is sent to the one without", async () => {
  assert.deepEqual(await ask("//version"), moved("/version"));
  assert.deepEqual(await ask("//version", { kind: "metrics" }), moved("/version"));
  assert.deepEqual(await ask("/./version?a=//&b"), moved("/version?a=//&b", "/version?a=//&amp;b"));
  assert.deepEqual(await ask("/livez/../../version"), moved("/version"));
  assert.deepEqual(await ask("/livez//"), moved("/livez/"));
  assert.deepEqual(await ask("/.."), moved("/"));
  const posted = { status: 301, headers: { Location: "/version" }, body: "" };
  assert.deepEqual(await ask("//version", { method: "POST" }), posted);
  assert.equal((await ask("/version/")).status, 200);
  assert.equal((await ask("/..version")).status, 404);
});

test("a whole URL is taken for its path, and for its host", async () => {
  assert.equal((await ask("http://good/version?x")).body, "/version?x");
  assert.equal((await ask("HTTP://good:80/version", { host: "bad" })).status, 200);
  assert.equal((await ask("http://bad/version")).status, 421);
  assert.equal((await ask("http://good")).status, 404);
  assert.equal((await ask("/version", { host: "bad" })).status, 421);
});
