import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { existsSync } from "node:fs";
import { test } from "node:test";
import {
  type Bytes,
  type Connection,
  type ConnectionHandler,
  type NetAddress,
  NetError,
  utf8ToBytes,
} from "@etcd-ts/base";
import { canReusePort, nodeHost, serveHttp1, silentLog } from "../src/index.ts";
import { Recorder } from "./host-contract.ts";
import { inScratch } from "./scratch.ts";

const { net } = nodeHost({ log: silentLog });
const anywhere: NetAddress = { kind: "tcp", host: "127.0.0.1", port: 0 };

test("a unix socket carries bytes, and its file goes with the listener", () =>
  inScratch(async (directory) => {
    const address: NetAddress = { kind: "unix", path: `${directory}/socket` };
    const accepted = new Recorder();
    const listener = await net.listen(address, {
      accept: (connection) => {
        accepted.connection = connection;
        accepted.echo = true;
        return accepted;
      },
    });
    assert.deepEqual(listener.address, address);
    await assert.rejects(net.listen(address, { accept: () => new Recorder() }), {
      code: "EADDRINUSE",
      message: `listen unix ${address.path}: bind: address already in use`,
    });
    const client = new Recorder();
    client.connection = net.dial(address, {}, client);
    client.connection.write(utf8ToBytes("over unix"));
    await client.received(9);
    assert.equal(client.text(), "over unix");
    assert.equal(accepted.connection.remoteAddress, "@");
    client.connection.destroy();
    await accepted.ended;
    accepted.connection.end();
    await accepted.closed;
    await listener.close();
    assert.ok(!existsSync(address.path));
  }));

test("the socket file of a killed process is replaced", () =>
  inScratch(async (directory) => {
    const path = `${directory}/stale`;
    const script = `require("net").createServer().listen(process.argv[1], () => process.kill(process.pid, "SIGKILL"))`;
    spawnSync(process.execPath, ["-e", script, path]);
    assert.ok(existsSync(path));
    const listener = await net.listen({ kind: "unix", path }, { accept: () => new Recorder() });
    await listener.close();
  }));

test("failures read as Go's do", async () => {
  const listener = await net.listen(anywhere, { accept: () => new Recorder() });
  assert.ok(listener.address.kind === "tcp");
  const { port } = listener.address;
  await assert.rejects(net.listen(listener.address, { accept: () => new Recorder() }), {
    code: "EADDRINUSE",
    message: `listen tcp 127.0.0.1:${port}: bind: address already in use`,
  });
  await listener.close();
  const fails = (address: NetAddress): Promise<Error | undefined> => {
    const recorder = new Recorder();
    recorder.connection = net.dial(address, { timeoutMs: 60_000 }, recorder);
    return recorder.closed;
  };
  const refused = await fails({ kind: "tcp", host: "127.0.0.1", port });
  assert.equal(refused?.message, `dial tcp 127.0.0.1:${port}: connect: connection refused`);
  const named = await fails({ kind: "tcp", host: "localhost", port });
  assert.match(String(named?.message), /^dial tcp localhost:\d+: connect: connection refused$/);
  const gone = await fails({ kind: "unix", path: "/nonexistent/socket" });
  assert.ok(gone instanceof NetError);
  assert.equal(gone.message, "dial unix /nonexistent/socket: connect: no such file or directory");
  const nowhere = await fails({ kind: "tcp", host: "no-such-host.invalid", port });
  // Without a name server at hand it is that one which is to blame.
  assert.match(
    String(nowhere?.message),
    /^dial tcp: lookup no-such-host\.invalid: (no such host|server misbehaving)$/,
  );
});

test("a host name is bound at its IPv4 address", async () => {
  const listener = await net.listen(
    { kind: "tcp", host: "localhost", port: 0 },
    { accept: () => new Recorder() },
  );
  assert.ok(listener.address.kind === "tcp");
  assert.equal(listener.address.host, "127.0.0.1");
  await listener.close();
});

test("a connection comes from the address that the dialler names", async () => {
  const remotes: string[] = [];
  const recorders: Recorder[] = [];
  const listener = await net.listen(anywhere, {
    accept: (connection) => {
      remotes.push(connection.remoteAddress);
      const recorder = new Recorder();
      recorder.connection = connection;
      recorders.push(recorder);
      return recorder;
    },
  });
  // All of 127.0.0.0/8 is this machine, but not everywhere.
  if (process.platform === "linux") {
    const dialling = new Recorder();
    dialling.connection = net.dial(listener.address, { localHost: "127.0.0.2" }, dialling);
    dialling.connection.write(utf8ToBytes("x"));
    await dialling.opened;
    dialling.connection.destroy();
    await dialling.closed;
    assert.match(remotes.join(), /^127\.0\.0\.2:\d+$/);
  }
  const nowhere = new Recorder();
  nowhere.connection = net.dial(listener.address, { localHost: "192.0.2.1" }, nowhere);
  assert.match((await nowhere.closed)?.message ?? "", /cannot assign requested address$/);
  for (const recorder of recorders) {
    recorder.connection.destroy();
    await recorder.closed;
  }
  await listener.close();
});

test("which Node can share a port", () => {
  const able = ["22.12.0", "22.20.1", "23.1.0", "24.0.0", "26.3.1"];
  const unable = ["20.19.0", "22.1.0", "22.11.9", "23.0.0"];
  assert.deepEqual(
    able.filter((version) => canReusePort(version)),
    able,
  );
  assert.deepEqual(
    unable.filter((version) => canReusePort(version)),
    [],
  );
});

test("connections beyond the limit are closed", async () => {
  const errors: string[] = [];
  const recorders: Recorder[] = [];
  const listener = await net.listen(anywhere, {
    connectionCountMax: 1,
    accept: (connection) => {
      const recorder = new Recorder();
      recorder.connection = connection;
      recorders.push(recorder);
      return recorder;
    },
    onError: (error) => errors.push(error.message),
  });
  const first = new Recorder();
  first.connection = net.dial(listener.address, {}, first);
  await first.opened;
  first.connection.write(utf8ToBytes("x"));
  const second = new Recorder();
  second.connection = net.dial(listener.address, {}, second);
  await second.closedOrEnded;
  assert.deepEqual(errors, ["too many connections"]);
  first.connection.destroy();
  second.connection.destroy();
  await Promise.all([first.closed, second.closed]);
  for (const recorder of recorders) {
    recorder.connection.destroy();
    await recorder.closed;
  }
  assert.equal(recorders.length, 1);
  await listener.close();
});

test("parts written in one turn leave together", async () => {
  const chunks: number[] = [];
  const received = new Recorder();
  const counting: ConnectionHandler = {
    onData: (bytes) => {
      chunks.push(bytes.length);
      received.onData(bytes);
    },
    onDrain: () => received.onDrain(),
    onEnd: () => received.onEnd(),
    onClose: (error) => received.onClose(error),
  };
  const listener = await net.listen(anywhere, {
    accept: (connection) => {
      received.connection = connection;
      return counting;
    },
  });
  const client = new Recorder();
  client.connection = net.dial(listener.address, {}, client);
  await client.opened;
  for (let i = 0; i < 100; i++) client.connection.write(new Uint8Array(10));
  await received.received(1000);
  assert.deepEqual(chunks, [1000]);
  client.connection.destroy();
  received.connection.destroy();
  await Promise.all([client.closed, received.closed]);
  await listener.close();
});

test("a connection that is destroyed while its end is on its way closes", async () => {
  const served: Recorder[] = [];
  const listener = await net.listen(anywhere, {
    accept: (connection) => {
      const recorder = new Recorder();
      recorder.connection = connection;
      served.push(recorder);
      return recorder;
    },
  });
  const client = new Recorder();
  client.connection = net.dial(listener.address, {}, client);
  await client.opened;
  client.connection.end();
  // The end goes to the kernel when this turn is over; the destruction comes before it is there.
  await new Promise<void>((resolve) => process.nextTick(resolve));
  client.connection.destroy();
  await client.closed;
  await listener.close();
  for (const recorder of served) recorder.connection.destroy();
});

/** A listener whose connections go to an HTTP/1.1 server once their first bytes are here. */
async function http1Listener(
  http1: ReturnType<typeof serveHttp1>,
  pauseFirst: boolean,
): ReturnType<typeof net.listen> {
  return net.listen(anywhere, {
    accept: (connection: Connection) => {
      const handler = new Recorder();
      handler.onData = (bytes: Bytes): void => {
        if (pauseFirst) connection.pause();
        http1.adopt(connection.detach(bytes));
      };
      return handler;
    },
  });
}

test("a detached connection is served by HTTP/1.1, request after request", async () => {
  for (const pauseFirst of [false, true]) {
    const http1 = serveHttp1((request, response) => {
      let body = "";
      request.on("data", (chunk) => {
        body += String(chunk);
      });
      request.on("end", () => response.end(`${request.method} ${request.url} ${body}`));
    });
    const listener = await http1Listener(http1, pauseFirst);
    assert.ok(listener.address.kind === "tcp");
    const base = `http://127.0.0.1:${listener.address.port}`;
    for (let i = 0; i < 3; i++) {
      const answer = await fetch(`${base}/path?q=${i}`);
      assert.equal(await answer.text(), `GET /path?q=${i} `);
      const body = "x".repeat(200_000);
      const posted = await fetch(`${base}/p`, { method: "POST", body });
      assert.equal(await posted.text(), `POST /p ${body}`);
    }
    assert.ok(http1.connectionCount >= 1);
    await http1.close(1000);
    assert.equal(http1.connectionCount, 0);
    await listener.close();
  }
});

test("closing the HTTP/1.1 server waits for answers under way", async () => {
  let release: (() => void) | undefined;
  const asked = new Promise<void>((resolve) => {
    release = resolve;
  });
  let answerNow: (() => void) | undefined;
  const http1 = serveHttp1((_request, response) => {
    answerNow = () => response.end("late");
    release?.();
  });
  const listener = await http1Listener(http1, false);
  assert.ok(listener.address.kind === "tcp");
  const answer = fetch(`http://127.0.0.1:${listener.address.port}/`);
  await asked;
  const closed = http1.close(60_000);
  answerNow?.();
  assert.equal(await (await answer).text(), "late");
  await closed;
  await listener.close();
});
