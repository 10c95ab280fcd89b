// The sending end of a stream: a peer has dialled, and its answer is our messages. Messages that raft sends
// in one turn leave as one write, after the turn. While the socket is full they wait, up to a count and a
// number of bytes; what comes beyond is refused, and raft slows down.

import type { Bytes } from "@etcd-ts/base";
import { concatBytes, type Timer } from "@etcd-ts/base";
import { type Message, MessageType } from "@etcd-ts/raft";
import type { FieldList, ServerExchange, ServerExchangeHandler } from "@etcd-ts/rpc/http1";
import { hexId } from "../ids.ts";
import { heartbeatMs, type LinkContext } from "./link-context.ts";
import { AppendEncoder, type MessageEncoder, PlainEncoder } from "./stream-codecs.ts";

export type StreamKind = "message" | "msgapp";

const queueCountMax = 4096;
const queueBytesMax = 64 * 1024 * 1024;
/** Encoded in one go; a single message may be larger. */
const batchBytes = 256 * 1024;
/** Handed to the socket in one go: the time limit on writes counts for each. */
const pieceBytes = 128 * 1024;

export class StreamWriter {
  readonly #context: LinkContext;
  /** The peer's id, as it is printed. */
  readonly #peer: string;
  readonly #kind: StreamKind;
  readonly #onLost: (reason: string) => void;
  #exchange: ServerExchange | undefined;
  #encoder: MessageEncoder | undefined;
  #queue: Message[] = [];
  #queuedBytes = 0;
  /** Encoded and not yet handed to the socket. */
  #encoded: Bytes | undefined;
  #encodedAt = 0;
  #blocked = false;
  #scheduled = false;
  #heartbeatTimer: Timer | undefined;

  /** `onLost`: the stream broke, and with it what was queued. */
  constructor(
    context: LinkContext,
    peerId: bigint,
    kind: StreamKind,
    onLost: (reason: string) => void,
  ) {
    this.#context = context;
    this.#peer = hexId(peerId);
    this.#kind = kind;
    this.#onLost = onLost;
  }

  get isAttached(): boolean {
    return this.#exchange !== undefined;
  }

  /** The peer has dialled; an older stream of its is closed. */
  attach(exchange: ServerExchange, fields: FieldList): ServerExchangeHandler {
    const { log, own, host } = this.#context;
    this.#detach("replaced by a newer stream");
    exchange.start(200, fields);
    this.#exchange = exchange;
    this.#encoder =
      this.#kind === "msgapp" ? new AppendEncoder(this.#context.frames) : new PlainEncoder();
    this.#heartbeatTimer = host.timers.after(heartbeatMs, this.#onHeartbeat);
    log.info("established TCP streaming connection with remote peer", {
      "stream-writer-type": this.#kind,
      "local-member-id": hexId(own.memberId),
      "remote-peer-id": this.#peer,
    });
    return {
      onBody: () => {},
      onBodyEnd: () => {},
      onDrain: () => {
        if (this.#exchange !== exchange) return;
        this.#blocked = false;
        this.#flush();
      },
      onClose: (error) => {
        if (this.#exchange !== exchange) return;
        this.#detach(undefined);
        this.#onLost(error?.message ?? "the stream ended");
      },
    };
  }

  /** False: there is no room (or no stream) for it. */
  send(message: Message): boolean {
    if (this.#exchange === undefined) return false;
    const last = this.#queue.at(-1);
    if (last !== undefined && supersedes(message, last)) {
      this.#queue[this.#queue.length - 1] = message;
      return true;
    }
    const bytes = roughBytes(message);
    if (this.#queue.length >= queueCountMax) return false;
    if (this.#queuedBytes + bytes > queueBytesMax && this.#queue.length > 0) return false;
    this.#queue.push(message);
    this.#queuedBytes += bytes;
    if (!this.#scheduled && !this.#blocked) {
      this.#scheduled = true;
      this.#context.host.timers.soon(this.#onScheduled);
    }
    return true;
  }

  stop(): void {
    this.#detach("stopped");
  }

  readonly #onScheduled = (): void => {
    this.#scheduled = false;
    this.#flush();
  };

  readonly #onHeartbeat = (): void => {
    const exchange = this.#exchange;
    if (exchange === undefined) return;
    this.#heartbeatTimer = this.#context.host.timers.after(heartbeatMs, this.#onHeartbeat);
    // A full socket has bytes under way, which say as much.
    if (!this.#blocked && this.#encoded === undefined) {
      this.#blocked = !exchange.write(this.#encoder!.heartbeat);
    }
  };

  #flush(): void {
    const exchange = this.#exchange;
    if (exchange === undefined) return;
    let sentBytes = 0;
    while (!this.#blocked) {
      this.#encoded ??= this.#nextBatch();
      const encoded = this.#encoded;
      if (encoded === undefined) break;
      const end = Math.min(encoded.length, this.#encodedAt + pieceBytes);
      const isWhole = this.#encodedAt === 0 && end === encoded.length;
      const piece = isWhole ? encoded : encoded.subarray(this.#encodedAt, end);
      this.#blocked = !exchange.write(piece);
      sentBytes += end - this.#encodedAt;
      this.#encodedAt = end;
      if (end === encoded.length) {
        this.#encoded = undefined;
        this.#encodedAt = 0;
      }
    }
    if (sentBytes > 0) this.#context.metrics.sentBytes.add(sentBytes, this.#peer);
  }

  #nextBatch(): Bytes | undefined {
    const queue = this.#queue;
    if (queue.length === 0) return undefined;
    if (queue.length === 1) {
      const only = queue.pop()!;
      this.#queuedBytes -= roughBytes(only);
      return this.#encoder!.encode(only);
    }
    const frames: Bytes[] = [];
    let bytes = 0;
    let count = 0;
    while (count < queue.length && bytes < batchBytes) {
      const message = queue[count++]!;
      const frame = this.#encoder!.encode(message);
      frames.push(frame);
      bytes += frame.length;
      this.#queuedBytes -= roughBytes(message);
    }
    if (count === queue.length) this.#queue = [];
    else queue.splice(0, count);
    return concatBytes(frames);
  }

  #detach(why: string | undefined): void {
    const exchange = this.#exchange;
    if (exchange === undefined) return;
    const { log, own } = this.#context;
    this.#exchange = undefined;
    this.#encoder = undefined;
    this.#queue = [];
    this.#queuedBytes = 0;
    this.#encoded = undefined;
    this.#encodedAt = 0;
    this.#blocked = false;
    this.#heartbeatTimer?.cancel();
    this.#heartbeatTimer = undefined;
    if (why !== undefined) exchange.abort(why);
    log.info("closed TCP streaming connection with remote peer", {
      "stream-writer-type": this.#kind,
      "local-member-id": hexId(own.memberId),
      "remote-peer-id": this.#peer,
    });
  }
}

/** Of two acknowledgements that leave together, the second says all that the first did. */
function supersedes(message: Message, before: Message): boolean {
  return (
    message.type === MessageType.MsgAppResp &&
    before.type === MessageType.MsgAppResp &&
    !message.reject &&
    !before.reject &&
    message.term === before.term &&
    message.index >= before.index
  );
}

/** For bounds: entries are what makes messages large. */
function roughBytes(message: Message): number {
  let bytes = 64 + message.context.length;
  for (const entry of message.entries) bytes += 32 + entry.data.length;
  return bytes;
}
