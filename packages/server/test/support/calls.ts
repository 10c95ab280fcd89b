// Calls without a network: a handler is called with one of these and the test looks at what came back.

import type {
  CallWork,
  Lane,
  Metadata,
  MethodTable,
  ServerCall,
  StreamHandler,
} from "@etcd-ts/rpc";

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

  /** What waits for room, while `isFull`. */
  readonly waiting: { readonly lane: Lane; readonly work: CallWork }[] = [];
  isFull = false;

  admit(lane: Lane, work: CallWork): boolean {
    if (this.isFull) this.waiting.push({ lane, work });
    else work.begin();
    return !this.isFull;
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

  sendPrefixed(messages: Uint8Array, count: number): boolean {
    let seen = 0;
    let open = true;
    for (let at = 0; at < messages.length; seen++) {
      const view = new DataView(messages.buffer, messages.byteOffset + at, 5);
      const end = at + 5 + view.getUint32(1);
      if (view.getUint8(0) !== 0 || end > messages.length) throw new Error("not whole messages");
      open = this.send(new Uint8Array(messages.subarray(at + 5, end)));
      at = end;
    }
    if (seen !== count) throw new Error(`${seen} messages instead of ${count}`);
    return open;
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
