// The proxies between members: what passes, what waits, what is cut.

import assert from "node:assert/strict";
import { once } from "node:events";
import { createConnection, createServer, type Server, type Socket } from "node:net";
import { after, test } from "node:test";
import { takePort, takePorts } from "@etcd-ts/node/testing";
import { PeerNetwork } from "../src/cluster/peer-network.ts";

const closing: (() => unknown)[] = [];
after(async () => {
  for (const close of closing.reverse()) await close();
});

/** A member `b` that answers each chunk in capitals, behind a proxy; and a connection of member `a` (id a). */
async function linked(): Promise<{ network: PeerNetwork; dial: () => Promise<Socket> }> {
  const [target, port] = (await takePorts(2)) as [number, number];
  const sockets = new Set<Socket>();
  const server: Server = createServer((socket) => {
    sockets.add(socket);
    socket.on("data", (chunk) => socket.write(chunk.toString().toUpperCase()));
    socket.on("error", () => {});
  });
  server.listen(target, "127.0.0.1");
  await once(server, "listening");
  const network = new PeerNetwork();
  network.learn(0xan, "a");
  network.learn(0xbn, "b");
  await network.add("a", await takePort(), target);
  await network.add("b", port, target);
  closing.push(
    () => new Promise((resolve) => server.close(resolve)),
    () => network.close(),
    () => {
      for (const socket of sockets) socket.destroy();
    },
  );
  const dial = async (): Promise<Socket> => {
    const socket = createConnection(port, "127.0.0.1");
    closing.push(() => socket.destroy());
    socket.on("error", () => {});
    await once(socket, "connect");
    return socket;
  };
  return { network, dial };
}

const hello = "GET /raft HTTP/1.1\r\nX-Server-From: a\r\n\r\n";

async function answer(socket: Socket): Promise<string> {
  const [chunk] = (await once(socket, "data")) as [Buffer];
  return chunk.toString();
}

test("bytes pass in both directions", async () => {
  const { dial } = await linked();
  const socket = await dial();
  socket.write(hello);
  assert.equal(await answer(socket), hello.toUpperCase());
});

test("a cut ends the connections of the two and refuses new ones, until it is healed", async () => {
  const { network, dial } = await linked();
  const socket = await dial();
  socket.write(hello);
  await answer(socket);
  network.cut("a", "b");
  await once(socket, "close");
  const refused = await dial();
  refused.write(hello);
  await once(refused, "close");
  network.heal();
  const again = await dial();
  again.write(hello);
  assert.equal(await answer(again), hello.toUpperCase());
});

test("one way blocked, bytes of the other still pass; healed, what waited arrives", async () => {
  const { network, dial } = await linked();
  const socket = await dial();
  socket.write(hello);
  await answer(socket);
  network.blockOneWay("b", "a");
  socket.write("one");
  const early = await Promise.race([
    answer(socket),
    new Promise((resolve) => setTimeout(() => resolve("nothing"), 50)),
  ]);
  assert.equal(early, "nothing");
  const late = answer(socket);
  network.heal();
  assert.equal(await late, "ONE");
});

test("a delayed link takes its time each way", async () => {
  const { network, dial } = await linked();
  const socket = await dial();
  socket.write(hello);
  await answer(socket);
  network.delay("a", "b", 30);
  const startMs = performance.now();
  socket.write("slow");
  assert.equal(await answer(socket), "SLOW");
  assert.ok(performance.now() - startMs >= 59);
});
