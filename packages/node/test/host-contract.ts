// What every Host must do, whatever world it stands for. The real Host and the simulator's both run this
// suite: give it a way to run a body against a fresh host.

import assert from "node:assert/strict";
import { test } from "node:test";
import {
  type Bytes,
  bytesToHex,
  bytesToUtf8,
  type Connection,
  type ConnectionHandler,
  concatBytes,
  DiskError,
  type DiskErrorCode,
  type DiskFile,
  equalBytes,
  type Host,
  type Listener,
  type NetAddress,
  NetError,
  utf8ToBytes,
} from "@etcd-ts/base";

export interface World {
  readonly host: Host;
  /** An existing, empty folder. */
  readonly directory: string;
}

/** Runs the body to its end in a fresh world (a simulator lets its time pass meanwhile) and clears up. */
export type RunInWorld = (body: (world: World) => Promise<void>) => Promise<void>;

export function hostContract(name: string, run: RunInWorld): void {
  const check = checkIn(name, run);
  clockContract(check);
  diskContract(check);
  netContract(check);
  digestContract(check);
}

/** The network alone, for a host whose `Net` goes another way (TLS, say). */
export function connectionContract(name: string, run: RunInWorld): void {
  netContract(checkIn(name, run));
}

function checkIn(name: string, run: RunInWorld): Check {
  return (what, body) => {
    test(`${name}: ${what}`, () => run(body));
  };
}

type Check = (what: string, body: (world: World) => Promise<void>) => void;

// --- clock, timers, randomness --------------------------------------------------------------------

function clockContract(check: Check): void {
  check("a timer fires once, never early, and not after it was cancelled", async ({ host }) => {
    const { clock, timers } = host;
    const begin = clock.monotonicMs();
    const fired: string[] = [];
    await new Promise<void>((resolve) => {
      timers.after(20, () => {
        fired.push("second");
        assert.ok(clock.monotonicMs() - begin >= 20);
        resolve();
      });
      timers.after(5, () => fired.push("first"));
      const cancelled = timers.after(1, () => fired.push("cancelled"));
      cancelled.cancel();
      cancelled.cancel();
    });
    assert.deepEqual(fired, ["first", "second"]);
  });

  check("a timer beyond 2^31 ms does not fire at once", async ({ host }) => {
    let fired = false;
    const timer = host.timers.after(2 ** 40, () => {
      fired = true;
    });
    await pause(host, 10);
    timer.cancel();
    assert.equal(fired, false);
  });

  check("soon runs after the caller and after microtasks, in order, once", async ({ host }) => {
    const seen: string[] = [];
    await new Promise<void>((resolve) => {
      host.timers.soon(() => {
        seen.push("one");
        host.timers.soon(() => {
          seen.push("three");
          resolve();
        });
      });
      host.timers.soon(() => seen.push("two"));
      void Promise.resolve().then(() => seen.push("microtask"));
      seen.push("caller");
    });
    assert.deepEqual(seen, ["caller", "microtask", "one", "two", "three"]);
  });

  check(
    "the monotonic clock does not go back and the wall clock is plausible",
    async ({ host }) => {
      let last = host.clock.monotonicMs();
      for (let i = 0; i < 1000; i++) {
        const now = host.clock.monotonicMs();
        assert.ok(now >= last);
        last = now;
      }
      assert.ok(host.clock.wallMs() >= 0);
    },
  );

  check("random integers stay below their bound and reach every value", async ({ host }) => {
    const seen = new Set<number>();
    for (let i = 0; i < 2000; i++) seen.add(host.random.below(7));
    assert.deepEqual([...seen].sort(), [0, 1, 2, 3, 4, 5, 6]);
    assert.equal(host.random.below(1), 0);
    assert.ok(host.random.below(2 ** 32) < 2 ** 32);
    assert.equal(host.random.bytes(33).length, 33);
    assert.notEqual(bytesToHex(host.random.bytes(16)), bytesToHex(host.random.bytes(16)));
  });
}

// --- disk -----------------------------------------------------------------------------------------

function diskContract(check: Check): void {
  check("writes and syncs of a file take effect and call back in order", async (world) => {
    const { host, directory } = world;
    const file = await host.disk.open(`${directory}/log`, "create");
    const order: string[] = [];
    await new Promise<void>((resolve) => {
      file.write(0, [utf8ToBytes("hello "), utf8ToBytes("wor"), utf8ToBytes("ld")], (error) => {
        assert.equal(error, undefined);
        order.push("write 1");
      });
      file.write(6, [utf8ToBytes("there")], () => order.push("write 2"));
      file.sync(() => order.push("sync 1"));
      file.write(11, [], () => order.push("empty write"));
      file.sync(() => {
        order.push("sync 2");
        resolve();
      });
      order.push("caller");
    });
    assert.deepEqual(order, ["caller", "write 1", "write 2", "sync 1", "empty write", "sync 2"]);
    assert.equal(bytesToUtf8(await file.read(0, 100)), "hello there");
    assert.equal(await file.size(), 11);
    await file.close();
  });

  check("reads give what is there and fewer bytes only at the end", async ({ host, directory }) => {
    const file = await host.disk.open(`${directory}/data`, "create");
    const big = host.random.bytes(300_000);
    await write(file, 0, big);
    assert.deepEqual(bytesToHex(await file.read(0, 300_000)), bytesToHex(big));
    assert.deepEqual(bytesToHex(await file.read(299_990, 100)), bytesToHex(big.subarray(299_990)));
    assert.equal((await file.read(300_000, 10)).length, 0);
    assert.equal((await file.read(5, 0)).length, 0);
    await file.close();
  });

  check("a write beyond the end leaves zeros in between", async ({ host, directory }) => {
    const file = await host.disk.open(`${directory}/sparse`, "create");
    await write(file, 10, utf8ToBytes("x"));
    assert.equal(bytesToHex(await file.read(0, 20)), `${"00".repeat(10)}78`);
    await file.close();
  });

  check("truncate cuts and extends, preallocate only extends", async ({ host, directory }) => {
    const file = await host.disk.open(`${directory}/sized`, "create");
    await write(file, 0, utf8ToBytes("0123456789"));
    await file.truncate(4);
    assert.equal(await file.size(), 4);
    await file.preallocate(2_000_000);
    assert.equal(await file.size(), 2_000_000);
    await file.preallocate(1000);
    assert.equal(await file.size(), 2_000_000);
    assert.equal(bytesToHex(await file.read(0, 8)), "3031323300000000");
    assert.ok((await file.read(1_999_000, 2000)).every((byte) => byte === 0));
    await file.truncate(6);
    assert.equal(bytesToHex(await file.read(0, 8)), "303132330000");
    await file.close();
  });

  check("what is written while a file is preallocated is not overwritten", async (world) => {
    const { host, directory } = world;
    const file = await host.disk.open(`${directory}/segment`, "create");
    const allocated = file.preallocate(8 << 20);
    const stamp = utf8ToBytes("stamp");
    const positions = [0, 3, 100_000, 3 << 20, (8 << 20) - 5, 262_141];
    const written = positions.map((position) => write(file, position, stamp));
    await Promise.all([allocated, ...written, sync(file)]);
    for (const position of positions.slice(1)) {
      assert.equal(bytesToUtf8(await file.read(position, 5)), "stamp", String(position));
    }
    assert.equal(await file.size(), 8 << 20);
    await file.close();
  });

  check("opening, creating and listing fail with their codes", async ({ host, directory }) => {
    const { disk } = host;
    await refuses("not-found", disk.open(`${directory}/none`, "read"));
    await refuses("not-found", disk.open(`${directory}/none`, "write"));
    await refuses("not-found", disk.open(`${directory}/none/x`, "create"));
    await refuses("not-found", disk.list(`${directory}/none`));
    await refuses("not-found", disk.rename(`${directory}/none`, `${directory}/other`));
    await (await disk.open(`${directory}/file`, "create")).close();
    await refuses("exists", disk.open(`${directory}/file`, "create"));
  });

  check("names: list is sorted, rename replaces, remove is recursive", async (world) => {
    const { host, directory } = world;
    const { disk } = host;
    assert.deepEqual(await disk.list(directory), []);
    await disk.makeDirectory(`${directory}/b/c/d`);
    await disk.makeDirectory(`${directory}/b/c`);
    for (const name of ["Z", "a", "b/c/x", "10", "9"]) {
      const file = await disk.open(`${directory}/${name}`, "create");
      await write(file, 0, utf8ToBytes(name));
      await file.close();
    }
    assert.deepEqual(await disk.list(directory), ["10", "9", "Z", "a", "b"]);
    await disk.rename(`${directory}/Z`, `${directory}/a`);
    await disk.syncDirectory(directory);
    assert.deepEqual(await disk.list(directory), ["10", "9", "a", "b"]);
    const renamed = await disk.open(`${directory}/a`, "read");
    assert.equal(bytesToUtf8(await renamed.read(0, 10)), "Z");
    await renamed.close();
    assert.deepEqual(await disk.stat(`${directory}/a`), { kind: "file", bytes: 1 });
    assert.equal((await disk.stat(`${directory}/b`))?.kind, "directory");
    assert.equal(await disk.stat(`${directory}/none`), undefined);
    await disk.remove(`${directory}/b`);
    await disk.remove(`${directory}/none`);
    assert.deepEqual(await disk.list(directory), ["10", "9", "a"]);
  });

  check("a lock has one holder at a time", async ({ host, directory }) => {
    const { disk } = host;
    const path = `${directory}/lock`;
    const first = await disk.lock(path);
    await refuses("locked", disk.lock(path));
    await first.release();
    await first.release();
    const second = await disk.lock(path);
    await refuses("locked", disk.lock(path));
    await second.release();
  });

  check("after close a file refuses, and closing twice is fine", async ({ host, directory }) => {
    const file = await host.disk.open(`${directory}/closed`, "create");
    let written = false;
    file.write(0, [utf8ToBytes("last")], () => {
      written = true;
    });
    await file.close();
    assert.ok(written, "close came before the write that was asked for earlier");
    await file.close();
    const error = await new Promise((resolve) => file.write(0, [utf8ToBytes("x")], resolve));
    assert.ok(error instanceof DiskError);
    const again = await host.disk.open(`${directory}/closed`, "read");
    assert.equal(bytesToUtf8(await again.read(0, 10)), "last");
    await again.close();
  });
}

// --- network --------------------------------------------------------------------------------------

function netContract(check: Check): void {
  check("bytes arrive in order both ways, and both sides end in peace", async ({ host }) => {
    const server = await Server.start(host);
    const client = server.dial(host);
    await client.opened;
    client.connection.write(utf8ToBytes("one "));
    client.connection.write(utf8ToBytes("two"));
    const accepted = await server.accepted(0);
    await accepted.received(7);
    assert.equal(accepted.text(), "one two");
    accepted.connection.write(utf8ToBytes("answer"));
    await client.received(6);
    client.connection.end();
    assert.equal(client.connection.write(utf8ToBytes("too late")), true);
    await accepted.ended;
    // The other direction is still open.
    accepted.connection.write(utf8ToBytes("!"));
    accepted.connection.end();
    await client.ended;
    assert.equal(client.text(), "answer!");
    assert.equal(await client.closed, undefined);
    assert.equal(await accepted.closed, undefined);
    assert.equal(accepted.text(), "one two");
    await server.listener.close();
  });

  check("what is written before a dialled connection opens is sent", async ({ host }) => {
    const server = await Server.start(host);
    const client = server.dial(host);
    client.connection.write(utf8ToBytes("early"));
    assert.equal(client.events.length, 0, "a callback came before dial returned");
    const accepted = await server.accepted(0);
    await accepted.received(5);
    assert.equal(accepted.text(), "early");
    await finish(server, client, accepted);
  });

  check("nobody listening and a refused address arrive at onClose", async ({ host }) => {
    const server = await Server.start(host);
    await server.listener.close();
    const client = server.dial(host);
    const error = await client.closed;
    assert.ok(error instanceof NetError);
    // The file of a unix socket is gone with its listener.
    const unix = server.listener.address.kind === "unix";
    assert.equal(error.code, unix ? "ENOENT" : "ECONNREFUSED");
    assert.deepEqual(client.events, ["close"]);
  });

  check("an address in use is refused", async ({ host }) => {
    const server = await Server.start(host);
    const second = host.net.listen(server.listener.address, { accept: () => new Recorder() });
    await assert.rejects(second, (error: unknown) => {
      assert.ok(error instanceof NetError);
      assert.equal(error.code, "EADDRINUSE");
      return true;
    });
    await server.listener.close();
  });

  check("a closed listener leaves its connections alone", async ({ host }) => {
    const server = await Server.start(host);
    const client = server.dial(host);
    const accepted = await server.accepted(0);
    await server.listener.close();
    client.connection.write(utf8ToBytes("still here"));
    await accepted.received(10);
    await finish(server, client, accepted);
  });

  check("a pause holds bytes back and a resume brings them all in order", async ({ host }) => {
    const server = await Server.start(host, (accepted) => accepted.connection.pause());
    const client = server.dial(host);
    const accepted = await server.accepted(0);
    const sent = host.random.bytes(1 << 20);
    let queued = 0;
    let roomy = true;
    // Backpressure reaches the writer: the host does not take a megabyte that nobody reads.
    for (let i = 0; i < sent.length && roomy; i += 4096) {
      roomy = client.connection.write(sent.subarray(i, i + 4096));
      queued = i + 4096;
      await pause(host, 0);
    }
    await pause(host, 5);
    assert.equal(accepted.receivedBytes, 0);
    accepted.connection.resume();
    await accepted.received(queued);
    assert.equal(bytesToHex(accepted.bytes()), bytesToHex(sent.subarray(0, queued)));
    // And again, with an end behind the bytes.
    accepted.connection.pause();
    client.connection.write(utf8ToBytes("tail"));
    client.connection.end();
    await pause(host, 5);
    assert.ok(!accepted.events.includes("end"));
    accepted.connection.resume();
    await accepted.ended;
    assert.equal(accepted.receivedBytes, queued + 4);
    accepted.connection.end();
    await accepted.closed;
    await client.closed;
    await server.listener.close();
  });

  check("memory serves again once its bytes are written", async ({ host }) => {
    const server = await Server.start(host, (accepted) => accepted.connection.pause());
    const client = server.dial(host);
    const accepted = await server.accepted(0);
    await client.opened;
    await writeOver(host, client, accepted);
    await finish(server, client, accepted);
  });

  check("pausing within onData holds back the next chunk", async ({ host }) => {
    const server = await Server.start(host);
    const client = server.dial(host);
    const accepted = await server.accepted(0);
    accepted.pauseAfterEach = true;
    const sent = host.random.bytes(300_000);
    client.connection.write(sent);
    let chunks = 0;
    while (accepted.receivedBytes < sent.length) {
      await accepted.received(accepted.receivedBytes + 1);
      chunks += 1;
      const before = accepted.receivedBytes;
      await pause(host, 0);
      assert.equal(accepted.receivedBytes, before);
      accepted.connection.resume();
    }
    assert.ok(chunks > 1);
    assert.equal(bytesToHex(accepted.bytes()), bytesToHex(sent));
    await finish(server, client, accepted);
  });

  check("write says when the queue is long and onDrain when it is empty", async ({ host }) => {
    const server = await Server.start(host);
    const client = server.dial(host);
    const accepted = await server.accepted(0);
    await client.opened;
    assert.equal(client.connection.write(new Uint8Array(1000)), true);
    assert.equal(client.connection.write(new Uint8Array(200_000)), false);
    assert.ok(!client.events.includes("drain"));
    await client.drained;
    await accepted.received(201_000);
    assert.equal(client.events.filter((event) => event === "drain").length, 1);
    await finish(server, client, accepted);
  });

  check("destroy drops what is queued, and both sides hear of the end once", async ({ host }) => {
    const server = await Server.start(host);
    const client = server.dial(host);
    const accepted = await server.accepted(0);
    await client.opened;
    client.connection.write(new Uint8Array(1000));
    client.connection.destroy();
    client.connection.destroy();
    assert.ok(!client.events.includes("close"), "a callback came from inside destroy");
    assert.equal(await client.closed, undefined);
    await accepted.closedOrEnded;
    accepted.connection.end();
    await accepted.closed;
    await pause(host, 2);
    assert.equal(client.events.filter((event) => event === "close").length, 1);
    assert.equal(accepted.events.filter((event) => event === "close").length, 1);
    assert.equal(client.events.at(-1), "close");
    assert.equal(accepted.events.at(-1), "close");
    await server.listener.close();
  });

  check("a dialled connection may be destroyed before it opens", async ({ host }) => {
    const server = await Server.start(host);
    const client = server.dial(host);
    client.connection.destroy();
    assert.equal(await client.closed, undefined);
    assert.deepEqual(client.events, ["close"]);
    await server.listener.close();
    await server.closeAll();
  });

  check("many connections at once do not mix", async ({ host }) => {
    const server = await Server.start(host, (accepted) => {
      accepted.echo = true;
    });
    const clients = Array.from({ length: 40 }, () => server.dial(host));
    const texts = clients.map((_client, i) => `client ${i} `.repeat(50));
    for (const [i, client] of clients.entries()) client.connection.write(utf8ToBytes(texts[i]!));
    for (const [i, client] of clients.entries()) {
      await client.received(texts[i]!.length);
      assert.equal(client.text(), texts[i]);
    }
    for (const client of clients) client.connection.destroy();
    for (const client of clients) await client.closed;
    await server.listener.close();
    await server.closeAll();
  });
}

function digestContract(check: Check): void {
  check("digests are SHA-1 and SHA-256", async ({ host }) => {
    const abc = utf8ToBytes("abc");
    assert.equal(bytesToHex(host.digests.sha1(abc)), "a9993e364706816aba3e25717850c26c9cd0d89d");
    const hasher = host.digests.sha256();
    hasher.update(abc.subarray(0, 1));
    hasher.update(abc.subarray(1));
    assert.equal(
      bytesToHex(hasher.digest()),
      "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad",
    );
  });
}

// --- helpers --------------------------------------------------------------------------------------

export class Recorder implements ConnectionHandler {
  connection!: Connection;
  readonly events: string[] = [];
  readonly opened: Promise<void>;
  readonly ended: Promise<void>;
  readonly drained: Promise<void>;
  readonly closed: Promise<Error | undefined>;
  readonly closedOrEnded: Promise<void>;
  receivedBytes = 0;
  echo = false;
  pauseAfterEach = false;
  readonly #chunks: Bytes[] = [];
  readonly #waiting: { bytes: number; resolve: () => void; reject: (error: Error) => void }[] = [];
  #resolveOpened!: () => void;
  #resolveEnded!: () => void;
  #resolveDrained!: () => void;
  #resolveClosed!: (error: Error | undefined) => void;

  constructor() {
    this.opened = new Promise((resolve) => {
      this.#resolveOpened = resolve;
    });
    this.ended = new Promise((resolve) => {
      this.#resolveEnded = resolve;
    });
    this.drained = new Promise((resolve) => {
      this.#resolveDrained = resolve;
    });
    this.closed = new Promise((resolve) => {
      this.#resolveClosed = resolve;
    });
    this.closedOrEnded = Promise.race([this.closed, this.ended]).then(() => undefined);
  }

  onOpen(): void {
    this.events.push("open");
    this.#resolveOpened();
  }

  onData(bytes: Bytes): void {
    this.receivedBytes += bytes.length;
    this.#chunks.push(bytes);
    if (this.echo) this.connection.write(bytes);
    if (this.pauseAfterEach) this.connection.pause();
    for (const waiting of this.#waiting) {
      if (waiting.bytes <= this.receivedBytes) waiting.resolve();
    }
  }

  onDrain(): void {
    this.events.push("drain");
    this.#resolveDrained();
  }

  onEnd(): void {
    this.events.push("end");
    this.#resolveEnded();
  }

  onClose(error: Error | undefined): void {
    this.events.push("close");
    this.#resolveClosed(error);
    for (const waiting of this.#waiting) waiting.reject(new Error(`closed: ${String(error)}`));
  }

  received(bytes: number): Promise<void> {
    if (this.receivedBytes >= bytes) return Promise.resolve();
    return new Promise((resolve, reject) => this.#waiting.push({ bytes, resolve, reject }));
  }

  bytes(): Bytes {
    return concatBytes(this.#chunks);
  }

  text(): string {
    return bytesToUtf8(this.bytes());
  }
}

/** Writes from one piece of memory, over and over again, to a side that reads only when nothing more gets through. */
async function writeOver(host: Host, client: Recorder, accepted: Recorder): Promise<void> {
  const memory = new Uint8Array(60_000);
  const sent: Bytes[] = [];
  for (let round = 0; round < 300; round++) {
    const length = 1 + host.random.below(memory.length);
    memory.set(host.random.bytes(length));
    sent.push(memory.slice(0, length));
    client.connection.write(memory.subarray(0, length));
    for (let waits = 1; !client.connection.isWritten; waits++) {
      await pause(host, 0);
      if (waits === 10) accepted.connection.resume();
    }
    memory.fill(0);
    if (host.random.below(20) === 0) accepted.connection.pause();
  }
  accepted.connection.resume();
  const all = concatBytes(sent);
  await accepted.received(all.length);
  assert.ok(equalBytes(accepted.bytes(), all));
}

class Server {
  listener!: Listener;
  readonly recorders: Recorder[] = [];
  readonly #waiting: (() => void)[] = [];

  static async start(host: Host, prepare?: (accepted: Recorder) => void): Promise<Server> {
    const server = new Server();
    const anywhere: NetAddress = { kind: "tcp", host: "127.0.0.1", port: 0 };
    server.listener = await host.net.listen(anywhere, {
      accept: (connection) => {
        const recorder = new Recorder();
        recorder.connection = connection;
        prepare?.(recorder);
        server.recorders.push(recorder);
        for (const wake of server.#waiting.splice(0)) wake();
        return recorder;
      },
    });
    return server;
  }

  dial(host: Host): Recorder {
    const recorder = new Recorder();
    recorder.connection = host.net.dial(this.listener.address, {}, recorder);
    return recorder;
  }

  async accepted(index: number): Promise<Recorder> {
    for (;;) {
      const recorder = this.recorders[index];
      if (recorder !== undefined) return recorder;
      await new Promise<void>((resolve) => this.#waiting.push(resolve));
    }
  }

  async closeAll(): Promise<void> {
    for (const recorder of this.recorders) recorder.connection.destroy();
    for (const recorder of this.recorders) await recorder.closed;
  }
}

async function finish(server: Server, client: Recorder, accepted: Recorder): Promise<void> {
  client.connection.destroy();
  accepted.connection.destroy();
  await client.closed;
  await accepted.closed;
  await server.listener.close();
}

function pause(host: Host, delayMs: number): Promise<void> {
  return new Promise((resolve) => {
    host.timers.after(delayMs, resolve);
  });
}

function write(file: DiskFile, position: number, bytes: Bytes): Promise<void> {
  return new Promise((resolve, reject) => {
    file.write(position, [bytes], (error) => (error === undefined ? resolve() : reject(error)));
  });
}

function sync(file: DiskFile): Promise<void> {
  return new Promise((resolve, reject) => {
    file.sync((error) => (error === undefined ? resolve() : reject(error)));
  });
}

async function refuses(code: DiskErrorCode, attempt: Promise<unknown>): Promise<void> {
  await assert.rejects(attempt, (error: unknown) => {
    assert.ok(error instanceof DiskError, String(error));
    assert.equal(error.code, code);
    return true;
  });
}
