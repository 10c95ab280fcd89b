// What the HTTP/1.1 server says of requests that are none, byte for byte as Go's.

import assert from "node:assert/strict";
import { connect, createServer } from "node:net";
import { test } from "node:test";
import { type Http1Handler, serveHttp1 } from "../src/index.ts";

async function answerTo(request: string, handler: Http1Handler): Promise<string> {
  const http = serveHttp1(handler);
  const server = createServer((socket) => http.adopt(socket));
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const { port } = server.address() as { port: number };
  try {
    return await new Promise((resolve, reject) => {
      let text = "";
      const socket = connect(port, "127.0.0.1", () => socket.write(request));
      socket.on("data", (chunk) => {
        text += chunk.toString("latin1");
      });
      socket.on("close", () => resolve(text));
      socket.on("error", reject);
    });
  } finally {
    server.close();
    await http.close(0);
  }
}

const respond: Http1Handler = (request, response) => {
  response.setHeader("Connection", "close");
  response.end(`${String(request.headers["x-long"]?.length)}`);
};

test("header fields beyond a megabyte are refused with 431, those below are taken", async () => {
  const requestOf = (bytes: number): string =>
    `GET / HTTP/1.1\r\nHost: a\r\nX-Long: ${"x".repeat(bytes)}\r\n\r\n`;
  assert.match(await answerTo(requestOf(900_000), respond), /^HTTP\/1\.1 200 [\s\S]*900000/);
  assert.equal(
    await answerTo(requestOf(1_100_000), respond),
    "HTTP/1.1 431 Request Header Fields Too Large\r\n" +
      "Content-Type: text/plain; charset=utf-8\r\nConnection: close\r\n\r\n" +
      "431 Request Header Fields Too Large",
  );
});

test("what is no request is refused with 400", async () => {
  assert.equal(
    await answerTo("NONSENSE\r\n\r\n", respond),
    "HTTP/1.1 400 Bad Request\r\nContent-Type: text/plain; charset=utf-8\r\n" +
      "Connection: close\r\n\r\n400 Bad Request",
  );
});
