// @grpc/grpc-js, an independent implementation on Node's own HTTP/2, as client of our server and as server
// of our client, over real sockets.

import { strict as assert } from "node:assert";
import { test } from "node:test";
import { type Bytes, bytesToUtf8, utf8ToBytes } from "@etcd-ts/base";
import grpc from "@grpc/grpc-js";
import { Channel, type ClientStreamHandler, RpcError, RpcServer } from "../src/index.ts";
import { certificatePem, keyPem } from "./support/certificate.ts";
import { nodeHost } from "./support/node-host.ts";
import { type TestServices, testServices } from "./support/services.ts";
import { until } from "./support/until.ts";

const identity = (bytes: Buffer): Buffer => bytes;
const localhost = { kind: "tcp", host: "127.0.0.1", port: 0 } as const;
const unlimited = {
  "grpc.max_receive_message_length": -1,
  "grpc.ssl_target_name_override": "localhost",
};

interface Served extends TestServices {
  readonly server: RpcServer;
  readonly client: grpc.Client;
  unary(path: string, body: Bytes, options?: grpc.CallOptions): Promise<string>;
}

/** Our server with a grpc-js client. */
async function withClient(secure: boolean, run: (served: Served) => Promise<void>): Promise<void> {
  const services = testServices();
  const server = new RpcServer({
    host: nodeHost(),
    methods: services.methods,
    limits: { receiveBytesMax: 8 << 20 },
    onHandlerError: () => {},
  });
  const tls = { certificatePem, keyPem, alpn: ["h2", "http/1.1"] };
  const { address } = await server.serve(localhost, secure ? { tls } : {});
  const client = new grpc.Client(
    `127.0.0.1:${(address as { port: number }).port}`,
    secure
      ? grpc.credentials.createSsl(Buffer.from(certificatePem))
      : grpc.credentials.createInsecure(),
    unlimited,
  );
  const unary: Served["unary"] = (path, body, options = {}) =>
    new Promise((resolve) => {
      client.makeUnaryRequest(
        path,
        identity,
        identity,
        Buffer.from(body),
        new grpc.Metadata(),
        options,
        (error, value) =>
          resolve(error === null ? `ok ${value!.toString()}` : `${error.code} ${error.details}`),
      );
    });
  try {
    await run({ server, client, unary, ...services });
  } finally {
    client.close();
    await server.close({ graceMs: 0 });
  }
}

for (const secure of [false, true]) {
  test(`grpc-js client, unary, ${secure ? "TLS" : "plain"}: answers, errors, large messages`, async () => {
    await withClient(secure, async ({ unary, server }) => {
      assert.equal(await unary("/test.Echo/Echo", utf8ToBytes("hello")), "ok hello");
      assert.equal(await unary("/test.Echo/Echo", new Uint8Array(0)), "ok ");
      assert.equal(await unary("/test.Echo/Fail", utf8ToBytes("nö %")), "5 nö %");
      assert.equal(await unary("/test.Echo/Throw", utf8ToBytes("")), "13 internal error");
      assert.equal(await unary("/x.Y/Z", utf8ToBytes("")), "12 unknown service x.Y");
      const large = "x".repeat(5_000_000);
      assert.equal(await unary("/test.Echo/Echo", utf8ToBytes(large)), `ok ${large}`);
      assert.equal(
        await unary("/test.Echo/Echo", new Uint8Array(9 << 20)),
        "8 grpc: received message larger than max (9437184 vs. 8388608)",
      );
      const many = await Promise.all(
        Array.from({ length: 500 }, (_, i) => unary("/test.Echo/Echo", utf8ToBytes(`${i}`))),
      );
      assert.deepEqual(
        many,
        many.map((_, i) => `ok ${i}`),
      );
      assert.equal(server.counters.connectionErrors, 0);
      assert.equal(server.counters.streamsOpen, 0);
    });
  });
}

test("grpc-js client: deadline and cancellation reach the handler", async () => {
  await withClient(false, async ({ client, unary, held, journal }) => {
    const count = (line: string): number => journal.lines.filter((it) => it === line).length;
    const allCancelled = (): boolean => count("cancelled") === count("hold");
    // Again where the machine paused for so long that the call never left.
    while (held.length === 0) {
      const deadline = Date.now() + 150;
      assert.match(await unary("/test.Echo/Hold", utf8ToBytes("x"), { deadline }), /^4 /);
    }
    await until(allCancelled, "the deadline");
    const before = held.length;
    const call = client.makeUnaryRequest(
      "/test.Echo/Hold",
      identity,
      identity,
      Buffer.from("x"),
      () => {},
    );
    await until(() => held.length > before && !allCancelled(), "the call");
    call.cancel();
    await until(allCancelled, "the cancellation");
  });
});

test("grpc-js client: client, server and bidirectional streams, metadata and trailers", async () => {
  await withClient(false, async ({ client, streams }) => {
    const sum = await new Promise<string>((resolve, reject) => {
      const call = client.makeClientStreamRequest(
        "/test.Echo/Sum",
        identity,
        identity,
        (error, value) => (error === null ? resolve(value!.toString()) : reject(error)),
      );
      for (let i = 0; i < 100; i++) call.write(Buffer.alloc(i * 100));
      call.end();
    });
    assert.equal(sum, String((99 * 100 * 100) / 2));

    const sizes: number[] = [];
    const status = await new Promise<grpc.StatusObject>((resolve) => {
      const call = client.makeServerStreamRequest(
        "/test.Echo/Flood",
        identity,
        identity,
        Buffer.from("300 20000"),
      );
      call.on("data", (bytes: Buffer) => sizes.push(bytes.length));
      call.on("status", resolve);
    });
    assert.equal(status.code, 0);
    assert.deepEqual(sizes, new Array(300).fill(20_000));

    const echoed: string[] = [];
    await new Promise<void>((resolve, reject) => {
      const call = client.makeBidiStreamRequest("/test.Echo/Bidi", identity, identity);
      call.on("data", (bytes: Buffer) => {
        echoed.push(bytes.toString());
        if (echoed.length === 50) call.end();
        else call.write(Buffer.from(`m${echoed.length}`));
      });
      call.on("error", reject);
      call.on("status", () => resolve());
      call.write(Buffer.from("m0"));
    });
    assert.deepEqual(
      echoed,
      echoed.map((_, i) => `m${i}`),
    );
    assert.equal(echoed.length, 50);

    const metadata = new grpc.Metadata();
    metadata.set("token", "abc");
    metadata.set("raw-bin", Buffer.from([0, 255]));
    const call = client.makeBidiStreamRequest("/test.Echo/Stream", identity, identity, metadata);
    const initial = new Promise<grpc.Metadata>((resolve) => call.on("metadata", resolve));
    const final = new Promise<grpc.StatusObject>((resolve) => call.on("status", resolve));
    call.on("error", () => {});
    call.on("data", () => {});
    await until(() => streams.length > 0, "the call");
    const ours = streams[0]!.call;
    assert.equal(ours.metadata("token"), "abc");
    assert.equal(ours.metadata("raw-bin"), "AP8=");
    ours.sendHeaders([["x-first", "1"]]);
    assert.deepEqual((await initial).get("x-first"), ["1"]);
    ours.finish({ code: 10, message: "stop", trailers: [["x-last", "2"]] });
    const { code, details, metadata: trailers } = await final;
    assert.deepEqual([code, details, trailers.get("x-last")], [10, "stop", ["2"]]);
  });
});

test("grpc-js client: a graceful stop does not break the call that runs", async () => {
  await withClient(false, async ({ unary, held, server }) => {
    const running = unary("/test.Echo/Hold", utf8ToBytes("x"));
    await until(() => held.length > 0, "the call");
    const closing = server.close();
    await until(() => server.counters.goawaysSent > 0, "GOAWAY");
    held[0]!.respond(utf8ToBytes("in the end"));
    assert.equal(await running, "ok in the end");
    await closing;
  });
});

// --- the other way round ----------------------------------------------------------------------------

const service: grpc.ServiceDefinition = Object.fromEntries(
  (
    [
      ["Echo", false, false],
      ["Fail", false, false],
      ["Hold", false, false],
      ["Sum", true, false],
      ["Flood", false, true],
      ["Bidi", true, true],
    ] as const
  ).map(([name, requestStream, responseStream]) => [
    name,
    {
      path: `/test.Echo/${name}`,
      requestStream,
      responseStream,
      requestSerialize: identity,
      requestDeserialize: identity,
      responseSerialize: identity,
      responseDeserialize: identity,
    },
  ]),
);

async function withServer(
  run: (channel: Channel, server: grpc.Server) => Promise<void>,
): Promise<void> {
  const server = new grpc.Server({ ...unlimited, "grpc.max_send_message_length": -1 });
  server.addService(service, {
    Echo: (call: grpc.ServerUnaryCall<Buffer, Buffer>, done: grpc.sendUnaryData<Buffer>) => {
      const trailers = new grpc.Metadata();
      trailers.set("seen", String(call.metadata.get("token")));
      done(null, call.request, trailers);
    },
    Fail: (call: grpc.ServerUnaryCall<Buffer, Buffer>, done: grpc.sendUnaryData<Buffer>) => {
      done({ code: 5, details: call.request.toString() });
    },
    Hold: () => {},
    Sum: (call: grpc.ServerReadableStream<Buffer, Buffer>, done: grpc.sendUnaryData<Buffer>) => {
      let bytes = 0;
      call.on("data", (chunk: Buffer) => {
        bytes += chunk.length;
      });
      call.on("end", () => done(null, Buffer.from(String(bytes))));
    },
    Flood: (call: grpc.ServerWritableStream<Buffer, Buffer>) => {
      const [count, size] = call.request.toString().split(" ").map(Number);
      for (let i = 0; i < count!; i++) call.write(Buffer.alloc(size!, i));
      call.end();
    },
    Bidi: (call: grpc.ServerDuplexStream<Buffer, Buffer>) => {
      call.on("data", (chunk: Buffer) => call.write(chunk));
      call.on("end", () => call.end());
    },
  });
  const port = await new Promise<number>((resolve, reject) =>
    server.bindAsync("127.0.0.1:0", grpc.ServerCredentials.createInsecure(), (error, bound) =>
      error === null ? resolve(bound) : reject(error),
    ),
  );
  const channel = new Channel({
    host: nodeHost(),
    address: { ...localhost, port },
    receiveBytesMax: 0x7fffffff,
  });
  try {
    await run(channel, server);
  } finally {
    channel.close();
    server.forceShutdown();
  }
}

interface Collected {
  readonly messages: Bytes[];
  readonly done: Promise<RpcError | undefined>;
  readonly handler: ClientStreamHandler;
}

function collect(): Collected {
  const messages: Bytes[] = [];
  let settle: (error: RpcError | undefined) => void;
  const done = new Promise<RpcError | undefined>((resolve) => {
    settle = resolve;
  });
  return {
    messages,
    done,
    handler: { onMessage: (bytes) => messages.push(bytes), onEnd: (error) => settle(error) },
  };
}

test("grpc-js server: unary calls, errors, large messages, deadlines", async () => {
  await withServer(async (channel) => {
    assert.equal(bytesToUtf8(await channel.unary("/test.Echo/Echo", utf8ToBytes("hi"))), "hi");
    await assert.rejects(channel.unary("/test.Echo/Fail", utf8ToBytes("größe 100%")), (error) => {
      assert.ok(error instanceof RpcError);
      assert.deepEqual([error.code, error.message], [5, "größe 100%"]);
      return true;
    });
    const large = new Uint8Array(5_000_000).fill(7);
    assert.deepEqual(await channel.unary("/test.Echo/Echo", large), Buffer.from(large));
    await assert.rejects(
      channel.unary("/test.Echo/Hold", utf8ToBytes("x"), { timeoutMs: 50 }),
      (error) => error instanceof RpcError && error.code === 4,
    );
    await assert.rejects(
      channel.unary("/test.Echo/Nope", utf8ToBytes("x")),
      (error) => error instanceof RpcError && error.code === 12,
    );
    const many = await Promise.all(
      Array.from({ length: 300 }, (_, i) => channel.unary("/test.Echo/Echo", utf8ToBytes(`${i}`))),
    );
    assert.deepEqual(
      many.map((bytes) => bytesToUtf8(bytes)),
      many.map((_, i) => `${i}`),
    );
  });
});

test("grpc-js server: streams of all kinds", async () => {
  await withServer(async (channel) => {
    const sum = collect();
    const upload = channel.stream("/test.Echo/Sum", {}, sum.handler);
    for (let i = 0; i < 100; i++) upload.send(new Uint8Array(10_000));
    upload.closeSend();
    assert.equal(await sum.done, undefined);
    assert.equal(bytesToUtf8(sum.messages[0]!), "1000000");

    const flood = collect();
    const download = channel.stream("/test.Echo/Flood", {}, flood.handler);
    download.send(utf8ToBytes("200 30000"));
    download.closeSend();
    assert.equal(await flood.done, undefined);
    assert.equal(flood.messages.length, 200);

    const bidi = collect();
    const both = channel.stream("/test.Echo/Bidi", {}, bidi.handler);
    for (let i = 0; i < 100; i++) both.send(utf8ToBytes(`m${i}`));
    both.closeSend();
    assert.equal(await bidi.done, undefined);
    assert.deepEqual(
      bidi.messages.map((bytes) => bytesToUtf8(bytes)),
      Array.from({ length: 100 }, (_, i) => `m${i}`),
    );
  });
});
