// Calls without a network: a handler is called with one of these and the test looks at what came back.

import type { Metadata, MethodTable, ServerCall, StreamHandler } from "@etcd-ts/rpc";

export class FakeCall implements ServerCall {
  readonly path: string;
  readonly remoteAddress = "test:1";
  readonly localAddress = "test:2";
  readonly tls = undefined;
  deadlineMs: number | undefined = undefined;
  readonly startedMs = 0;
  cancelled = false;
  ended = false;
  tag: unknown = undefined;
  onCancel: ((call: ServerCall) => void) | undefined = undefined;
  readonly queuedBytes = 0;
  readonly headers: Map<string, string> = new Map();
  readonly sent: Uint8Array[] = [];
  response: Uint8Array | undefined;
  error: { code: number; message: string } | undefined;
  handler: StreamHandler | undefined;
  /** Messages that `send` takes before it asks to wait. */
  room: number = Number.POSITIVE_INFINITY;

  constructor(path: string) {
    this.path = path;
  }

  metadata(name: string): string | undefined {
    return this.headers.get(name);
  }

  metadataList(): Metadata {
    return [...this.headers];
  }

  respond(message: Uint8Array): void {
    if (this.ended) return;
    this.ended = true;
    this.response = message.slice();
  }

  sendHeaders(): void {}

  send(message: Uint8Array): boolean {
    if (this.ended) return true;
    this.sent.push(message.slice());
    this.room--;
    return this.room > 0;
  }

  finish(status?: { code: number; message: string }): void {
    if (this.ended) return;
    this.ended = true;
    if (status !== undefined && status.code !== 0) this.error = status;
  }

  fail(code: number, message: string): void {
    if (this.ended) return;
    this.ended = true;
    this.error = { code, message };
  }

  pause(): void {}
  resume(): void {}

  /** The client goes away. */
  cancel(): void {
    if (this.ended) return;
    this.ended = true;
    this.cancelled = true;
    this.onCancel?.(this);
    this.handler?.onCancel();
  }
}

export function startUnary(
  methods: MethodTable,
  path: string,
  message: Uint8Array,
  headers: Record<string, string> = {},
): FakeCall {
  const method = methods[path];
  if (method?.kind !== "unary") throw new Error(`${path} is no unary method`);
  const call = new FakeCall(path);
  for (const [name, value] of Object.entries(headers)) call.headers.set(name, value);
  method.handle(call, message);
  return call;
}

export function startStream(methods: MethodTable, path: string, message?: Uint8Array): FakeCall {
  const method = methods[path];
  if (method?.kind !== "stream") throw new Error(`${path} is no stream method`);
  const call = new FakeCall(path);
  call.handler = method.open(call);
  if (message !== undefined) {
    call.handler.onMessage(message);
    call.handler.onHalfClose();
  }
  return call;
}
