// The short cuts past node:net's streams: what they must not change.

import assert from "node:assert/strict";
import { connect } from "node:net";
import { test } from "node:test";
import { type Bytes, bytesToUtf8, type NetAddress, utf8ToBytes } from "@etcd-ts/base";
import { nodeHost, serveHttp1, silentLog } from "../src/index.ts";
import { receiveInto } from "../src/socket-reader.ts";
import { Recorder } from "./host-contract.ts";

const { net } = nodeHost({ log: silentLog });
const anywhere: NetAddress = { kind: "tcp", host: "127.0.0.1", port: 0 };

interface Pair {
  readonly client: Recorder;
  readonly server: Recorder;
  readonly close: () => Promise<void>;
}

async function connected(): Promise<Pair> {
  const server = new Recorder();
  const accepted = new Promise<void>((resolve) => {
    server.onOpen = resolve;
  });
  const listener = await net.listen(anywhere, {
    accept: (connection) => {
      server.connection = connection;
      server.onOpen();
      return server;
    },
  });
  const client = new Recorder();
  client.connection = net.dial(listener.address, {}, client);
  await Promise.all([client.opened, accepted]);
  const close = async (): Promise<void> => {
    client.connection.destroy();
    server.connection.destroy();
    await Promise.all([client.closed, server.closed]);
    await listener.close();
  };
  return { client, server, close };
}

const turn = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));

test("writes that the kernel does not take at once arrive whole and in order, then the end", async () => {
  const { client, server, close } = await connected();
  // The first write teaches us the class of the request, so that what follows goes directly.
  server.connection.write(utf8ToBytes("first "));
  await client.received(6);
  client.connection.pause();
  let expected = "first ";
  let refused = 0;
  // Small writes, each in a turn of its own, far beyond what two socket buffers hold; large ones between.
  for (let i = 0; i < 2000; i++) {
    const text = `${i} `.repeat(i % 100 === 99 ? 8000 : 700);
    if (!server.connection.write(utf8ToBytes(text))) refused++;
    expected += text;
    await turn();
  }
  assert.ok(refused > 0, "the kernel took everything, so nothing was tested");
  server.connection.end();
  assert.deepEqual(server.events, []);
  client.connection.resume();
  await client.ended;
  assert.ok(client.text() === expected, "something is missing or in another order");
  await server.drained;
  await close();
});

test("a chunk stays what it was when the next ones arrive", async () => {
  const { client, server, close } = await connected();
  const kept: Bytes[] = [];
  server.onData = (bytes) => {
    kept.push(bytes);
    server.receivedBytes += bytes.length;
    server.connection.write(utf8ToBytes("."));
  };
  const sent: string[] = [];
  for (let i = 0; i < 300; i++) {
    sent.push(String.fromCharCode(97 + (i % 26)).repeat(1 + i * 20));
    client.connection.write(utf8ToBytes(sent.at(-1) as string));
    await client.received(i + 1);
  }
  const received = kept.map((it) => bytesToUtf8(it)).join("");
  assert.ok(received === sent.join(""), "a chunk was overwritten");
  await close();
});

test("writing to a connection that the other side has reset ends it with the error", async () => {
  const { client, server, close } = await connected();
  server.connection.write(utf8ToBytes("x"));
  await client.received(1);
  client.connection.destroy();
  // Both directions notice: reading, or the next write, whichever is first.
  for (let i = 0; i < 100 && !server.events.includes("close"); i++) {
    server.connection.write(utf8ToBytes("y"));
    await turn();
  }
  const error = await server.closed;
  assert.match(String(error?.message), /connection reset by peer|broken pipe/);
  await close();
});

test("an HTTP/1.1 client that resets or half-closes a detached connection harms nobody", async () => {
  const http1 = serveHttp1((_request, response) => response.end("fine"));
  const listener = await net.listen(anywhere, {
    accept: (connection) => {
      const handler = new Recorder();
      handler.onData = (bytes) => http1.adopt(connection.detach(bytes));
      return handler;
    },
  });
  assert.ok(listener.address.kind === "tcp");
  const { port } = listener.address;
  for (const request of ["GET / HT", "GET / HTTP/1.1\r\nHost: x\r\n\r\n"]) {
    for (const leave of ["resetAndDestroy", "end"] as const) {
      await new Promise<void>((resolve) => {
        const socket = connect(port, "127.0.0.1");
        socket.on("error", () => {});
        socket.on("close", () => resolve());
        socket.on("data", () => socket[leave]());
        socket.write(request, () => {
          if (!request.endsWith("\n")) socket[leave]();
        });
      });
    }
  }
  assert.equal(await (await fetch(`http://127.0.0.1:${port}/`)).text(), "fine");
  await http1.close(1000);
  await listener.close();
});

test("a socket that looks different inside is left to the ordinary way", () => {
  const socket = connect(1, "127.0.0.1");
  socket.on("error", () => {});
  const handle = (socket as unknown as { _handle: { useUserBuffer: unknown } })._handle;
  handle.useUserBuffer = undefined;
  assert.equal(
    receiveInto(socket, () => true),
    false,
  );
  socket.destroy();
});
