// Methods that tests call.

import { type Bytes, utf8ToBytes } from "@etcd-ts/base";
import type { MethodTable, ServerCall, StreamHandler } from "../../src/index.ts";

/** What handlers saw, in order. */
export class Journal {
  readonly lines: string[] = [];

  take(): string[] {
    return this.lines.splice(0);
  }
}

export interface TestServices {
  readonly methods: MethodTable;
  readonly journal: Journal;
  /** Calls of `/test.Echo/Hold`, which tests answer themselves. */
  readonly held: ServerCall[];
  /** Calls of `/test.Echo/Large` and `/test.Echo/Long` that were let begin, by their ids' order. */
  readonly begun: ServerCall[];
  /** Open streams of `/test.Echo/Stream`. */
  readonly streams: { call: ServerCall; messages: Bytes[] }[];
}

export function testServices(): TestServices {
  const journal = new Journal();
  const held: ServerCall[] = [];
  const begun: ServerCall[] = [];
  const streams: { call: ServerCall; messages: Bytes[] }[] = [];
  const methods: MethodTable = {
    /** Answers with its request. */
    "/test.Echo/Echo": {
      kind: "unary",
      handle(call, message) {
        journal.lines.push(`echo ${message.length}`);
        call.respond(message);
      },
    },
    /** Answers with NOT_FOUND and the request's text. */
    "/test.Echo/Fail": {
      kind: "unary",
      handle(call, message) {
        call.fail(5, new TextDecoder().decode(message));
      },
    },
    "/test.Echo/Throw": {
      kind: "unary",
      handle() {
        throw new Error("thrown by the handler");
      },
    },
    /** Waits for the test. */
    "/test.Echo/Hold": {
      kind: "unary",
      handle(call) {
        journal.lines.push("hold");
        call.onCancel = () => journal.lines.push("cancelled");
        held.push(call);
      },
    },
    /** `SIZE`: an answer of that size, once there is room for it. */
    "/test.Echo/Large": {
      kind: "unary",
      handle(call, message) {
        const size = Number(new TextDecoder().decode(message));
        const begin = (): void => {
          begun.push(call);
          call.respond(new Uint8Array(size));
        };
        call.admit("answer", { begin });
      },
    },
    /** Long work, which the test ends. */
    "/test.Echo/Long": {
      kind: "unary",
      handle(call) {
        call.onCancel = () => journal.lines.push("cancelled");
        call.admit("long", { begin: () => begun.push(call) });
      },
    },
    /** Waits for the test, which plays the handler with `streams`. */
    "/test.Echo/Stream": {
      kind: "stream",
      type: "bidi_stream",
      open(call) {
        journal.lines.push("open");
        const messages: Bytes[] = [];
        streams.push({ call, messages });
        return {
          onMessage: (message) => {
            messages.push(message);
            journal.lines.push(`message ${message.length}`);
          },
          onHalfClose: () => journal.lines.push("half-close"),
          onCancel: () => journal.lines.push("cancel"),
          onDrain: () => journal.lines.push("drain"),
        };
      },
    },
    /** Every message comes back at once. */
    "/test.Echo/Bidi": {
      kind: "stream",
      type: "bidi_stream",
      open: (call) => new BidiEcho(call),
    },
    /** Answers with the number of bytes that came. */
    "/test.Echo/Sum": {
      kind: "stream",
      type: "client_stream",
      open(call) {
        let bytes = 0;
        return {
          onMessage: (message) => {
            bytes += message.length;
          },
          onHalfClose: () => call.respond(utf8ToBytes(String(bytes))),
          onCancel: () => journal.lines.push("cancel"),
          onDrain: () => {},
        };
      },
    },
    /** `COUNT SIZE`: that many messages of that size, as fast as the client takes them. */
    "/test.Echo/Flood": {
      kind: "stream",
      type: "server_stream",
      open: (call) => new Flood(call, journal),
    },
  };
  return { methods, journal, held, begun, streams };
}

class BidiEcho implements StreamHandler {
  readonly #call: ServerCall;
  #halfClosed = false;

  constructor(call: ServerCall) {
    this.#call = call;
  }

  onMessage(message: Bytes): void {
    if (!this.#call.send(message)) this.#call.pause();
  }

  onHalfClose(): void {
    this.#halfClosed = true;
    this.#call.finish();
  }

  onCancel(): void {}

  onDrain(): void {
    if (!this.#halfClosed) this.#call.resume();
  }
}

class Flood implements StreamHandler {
  readonly #call: ServerCall;
  readonly #journal: Journal;
  #left = 0;
  #size = 0;

  constructor(call: ServerCall, journal: Journal) {
    this.#call = call;
    this.#journal = journal;
  }

  onMessage(message: Bytes): void {
    const [count, size] = new TextDecoder().decode(message).split(" ").map(Number);
    this.#left = count!;
    this.#size = size!;
    this.onDrain();
  }

  onHalfClose(): void {}

  onCancel(): void {
    this.#journal.lines.push(`flood cancelled, ${this.#left} left`);
  }

  onDrain(): void {
    while (this.#left > 0) {
      this.#left--;
      if (!this.#call.send(new Uint8Array(this.#size).fill(this.#left & 255))) return;
    }
    this.#call.finish();
  }
}
