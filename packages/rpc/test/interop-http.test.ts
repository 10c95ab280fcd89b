// Other HTTP speakers on the same port: node:http2 as client, HTTP/1.1, and plain HTTP/2 requests on TLS.

import { strict as assert } from "node:assert";
import http from "node:http";
import http2 from "node:http2";
import type { Socket } from "node:net";
import { connect } from "node:net";
import { test } from "node:test";
import { bytesToUtf8, utf8ToBytes } from "@etcd-ts/base";
import { type HttpExchange, type HttpHandler, RpcServer } from "../src/index.ts";
import { certificatePem, keyPem } from "./support/certificate.ts";
import { nodeHost } from "./support/node-host.ts";
import { message } from "./support/raw-peer.ts";
import { testServices } from "./support/services.ts";
import { until } from "./support/until.ts";

const localhost = { kind: "tcp", host: "127.0.0.1", port: 0 } as const;
const tls = { certificatePem, keyPem, alpn: ["h2", "http/1.1"] };

/** Answers `/echo` with the body, `/flood` with a lot, everything else with what it saw. */
class Pages implements HttpHandler {
  readonly #exchange: HttpExchange;
  #body = "";
  #left = 0;
  readonly #journal: string[];

  constructor(exchange: HttpExchange, journal: string[]) {
    this.#exchange = exchange;
    this.#journal = journal;
  }

  onBody(bytes: Uint8Array): void {
    this.#body += bytesToUtf8(bytes);
  }

  onEnd(): void {
    const { method, path } = this.#exchange;
    if (path === "/abort") {
      this.#exchange.abort();
      return;
    }
    if (path === "/hang") return;
    if (path === "/empty") {
      this.#exchange.respondHead(204, [], true);
      return;
    }
    this.#exchange.respondHead(200, [["content-type", "text/plain"]], false);
    if (path === "/flood") {
      this.#left = 200;
      this.onDrain();
      return;
    }
    this.#exchange.write(utf8ToBytes(`${method} ${path} ${this.#body}`));
    this.#exchange.end();
  }

  onCancel(): void {
    this.#journal.push("cancelled");
  }

  onDrain(): void {
    while (this.#left > 0) {
      this.#left--;
      if (!this.#exchange.write(new Uint8Array(10_000))) return;
    }
    this.#exchange.end();
  }
}

async function serve(
  secure: boolean,
  run: (port: number, journal: string[], server: RpcServer) => Promise<void>,
): Promise<void> {
  const journal: string[] = [];
  const pages = http.createServer((request, response) => {
    response.end(`HTTP/${request.httpVersion} ${request.method} ${request.url}`);
  });
  const server = new RpcServer({
    host: nodeHost(),
    methods: testServices().methods,
    onHttp1: (connection, firstBytes) => {
      const socket = connection.detach(firstBytes) as Socket;
      pages.emit("connection", socket);
      socket.resume();
    },
    onHttp2: (exchange) => new Pages(exchange, journal),
  });
  const { address } = await server.serve(localhost, secure ? { tls } : {});
  try {
    await run((address as { port: number }).port, journal, server);
  } finally {
    pages.closeAllConnections();
    await server.close({ graceMs: 0 });
  }
}

interface Answer {
  readonly status: number | undefined;
  readonly headers: http2.IncomingHttpHeaders;
  readonly trailers: http2.IncomingHttpHeaders;
  readonly body: Buffer;
}

function request(
  session: http2.ClientHttp2Session,
  headers: http2.OutgoingHttpHeaders,
  body?: Uint8Array,
): Promise<Answer> {
  return new Promise((resolve, reject) => {
    const stream = session.request(headers, { endStream: body === undefined });
    let head: http2.IncomingHttpHeaders & http2.IncomingHttpStatusHeader = {};
    let trailers: http2.IncomingHttpHeaders = {};
    const chunks: Buffer[] = [];
    stream.on("response", (received) => {
      head = received;
    });
    stream.on("trailers", (received) => {
      trailers = received;
    });
    stream.on("data", (chunk: Buffer) => chunks.push(chunk));
    stream.on("error", reject);
    stream.on("end", () =>
      resolve({ status: head[":status"], headers: head, trailers, body: Buffer.concat(chunks) }),
    );
    if (body !== undefined) stream.end(body);
  });
}

async function withSession(
  url: string,
  run: (session: http2.ClientHttp2Session) => Promise<void>,
  options: http2.SecureClientSessionOptions = {},
): Promise<void> {
  const session = http2.connect(url, options);
  const closed = new Promise((resolve) => session.once("close", resolve));
  try {
    await run(session);
  } finally {
    session.close();
    await closed;
  }
}

const grpcHeaders = (path: string): http2.OutgoingHttpHeaders => ({
  ":method": "POST",
  ":path": path,
  "content-type": "application/grpc",
  te: "trailers",
});

test("node:http2 as a gRPC client: nghttp2 accepts all we send, header tables of any size", async () => {
  await serve(false, async (port) => {
    for (const headerTableSize of [4096, 0, 64, 65_536]) {
      await withSession(
        `http://127.0.0.1:${port}`,
        async (session) => {
          for (let i = 0; i < 20; i++) {
            // Values of all bytes that a header may have: nghttp2 writes them in Huffman code.
            const value = Buffer.from(
              Array.from({ length: 30 }, (_, j) => 0x21 + ((i * 30 + j) % 94)),
            );
            const answer = await request(
              session,
              { ...grpcHeaders("/test.Echo/Echo"), "x-value": value.toString("latin1") },
              message(`call ${i}`),
            );
            assert.equal(answer.status, 200);
            assert.equal(answer.body.subarray(5).toString(), `call ${i}`);
            assert.equal(answer.trailers["grpc-status"], "0");
          }
          const failed = await request(session, grpcHeaders("/test.Echo/Fail"), message("why ü"));
          assert.equal(failed.headers["grpc-status"], "5");
          assert.equal(failed.headers["grpc-message"], "why %C3%BC");
          const flood = await request(
            session,
            grpcHeaders("/test.Echo/Flood"),
            message("100 9999"),
          );
          assert.equal(flood.body.length, 100 * 10_004);
        },
        { settings: { headerTableSize, maxFrameSize: 1 << 20, initialWindowSize: 1 << 20 } },
      );
    }
  });
});

test("node:http2: changing settings in mid-flight, pings, and a server that goes away", async () => {
  await serve(false, async (port) => {
    await withSession(`http://127.0.0.1:${port}`, async (session) => {
      for (const settings of [
        { headerTableSize: 0 },
        { headerTableSize: 4096, initialWindowSize: 100 },
        { initialWindowSize: 1 << 20 },
      ]) {
        await new Promise<void>((resolve) => session.settings(settings, () => resolve()));
        const body = "y".repeat(1000);
        const answers = await Promise.all(
          Array.from({ length: 20 }, () =>
            request(session, grpcHeaders("/test.Echo/Echo"), message(body)),
          ),
        );
        for (const answer of answers) assert.equal(answer.body.subarray(5).toString(), body);
      }
      await new Promise<void>((resolve, reject) =>
        session.ping((error) => (error === null ? resolve() : reject(error))),
      );
    });
  });
});

test("node:http2: a reader that stops holds the handler back, and nobody else", async () => {
  await serve(false, async (port, _, server) => {
    await withSession(`http://127.0.0.1:${port}`, async (session) => {
      const stream = session.request(grpcHeaders("/test.Echo/Flood"));
      stream.end(message("2000 10000"));
      await new Promise((resolve) => stream.once("response", resolve));
      let before = -1;
      // Until the handler has come to a stand.
      while (server.counters.messagesSent !== before) {
        before = server.counters.messagesSent;
        await new Promise((resolve) => setTimeout(resolve, 20));
      }
      assert.ok(before < 40, `${before} of 2000 messages were sent to nobody`);
      const other = await request(session, grpcHeaders("/test.Echo/Echo"), message("me too"));
      assert.equal(other.body.subarray(5).toString(), "me too");
      let bytes = 0;
      await new Promise<void>((resolve) => {
        stream.on("data", (chunk: Buffer) => {
          bytes += chunk.length;
        });
        stream.on("end", () => resolve());
      });
      assert.equal(bytes, 2000 * 10_005);
    });
  });
});

test("plain connections: HTTP/1.1 is handed out with its first bytes, other HTTP/2 gets 415", async () => {
  await serve(false, async (port) => {
    const text = await (await fetch(`http://127.0.0.1:${port}/version?x=1`)).text();
    assert.equal(text, "HTTP/1.1 GET /version?x=1");
    const slow = await new Promise<string>((resolve) => {
      const socket = connect(port, "127.0.0.1");
      let received = "";
      socket.on("data", (chunk) => {
        received += chunk.toString();
      });
      socket.on("close", () => resolve(received));
      // Begins like an HTTP/2 preface.
      socket.write("PR");
      setTimeout(() => socket.end("OPFIND / HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n"), 20);
    });
    assert.match(slow, /^HTTP\/1.1 200 OK/);
    assert.match(slow, /HTTP\/1.1 PROPFIND \/$/);
    await withSession(`http://127.0.0.1:${port}`, async (session) => {
      const answer = await request(session, { ":path": "/version" });
      assert.equal(answer.status, 415);
      assert.equal(answer.headers["grpc-message"], 'invalid gRPC request content-type ""');
    });
  });
});

test("without onHttp1 a foreign connection is cut", async () => {
  const server = new RpcServer({ host: nodeHost(), methods: {} });
  const { address } = await server.serve(localhost);
  await assert.rejects(fetch(`http://127.0.0.1:${(address as { port: number }).port}/`));
  assert.equal(server.counters.connectionErrors, 1);
  await server.close();
});

test("TLS: gRPC, plain HTTP/2 and HTTP/1.1 on one port", async () => {
  await serve(true, async (port, journal) => {
    const options = { ca: certificatePem, servername: "localhost" };
    await withSession(
      `https://127.0.0.1:${port}`,
      async (session) => {
        const grpcAnswer = await request(
          session,
          grpcHeaders("/test.Echo/Echo"),
          message("over TLS"),
        );
        assert.equal(grpcAnswer.body.subarray(5).toString(), "over TLS");
        const get = await request(session, { ":path": "/health" });
        assert.equal(get.body.toString(), "GET /health ");
        assert.equal(get.headers["content-type"], "text/plain");
        const post = await request(
          session,
          { ":method": "POST", ":path": "/v3/kv", "content-length": "7" },
          utf8ToBytes('{"a":1}'),
        );
        assert.equal(post.body.toString(), 'POST /v3/kv {"a":1}');
        assert.equal((await request(session, { ":path": "/empty" })).status, 204);
        assert.equal((await request(session, { ":path": "/flood" })).body.length, 2_000_000);
        await assert.rejects(request(session, { ":path": "/abort" }));
        const endless = session.request(
          { ":method": "POST", ":path": "/hang" },
          { endStream: false },
        );
        endless.on("error", () => {});
        endless.write("some");
        await new Promise((resolve) => setTimeout(resolve, 20));
        endless.close(http2.constants.NGHTTP2_CANCEL);
        await until(() => journal.length > 0, "cancellation");
        assert.deepEqual(journal, ["cancelled"]);
      },
      options,
    );
    const overHttp1 = await new Promise<string>((resolve, reject) => {
      import("node:https").then(({ get }) => {
        const options1 = {
          host: "127.0.0.1",
          port,
          path: "/one",
          ca: certificatePem,
          servername: "localhost",
          agent: false,
        };
        get(options1, (response) => {
          let body = "";
          response.on("data", (chunk) => {
            body += chunk;
          });
          response.on("end", () => resolve(body));
        }).on("error", reject);
      }, reject);
    });
    assert.equal(overHttp1, "HTTP/1.1 GET /one");
  });
});
