// The receiving end of a stream: it dials, and reads frames from the body of the answer, for as long as that
// goes. Whatever goes wrong ends the attempt; the next one begins a tenth of a second after the last one
// began, with the peer's next URL if the last one was to blame.

import { type Bytes, bytesToUtf8, type Timer } from "@etcd-ts/base";
import type { Message } from "@etcd-ts/raft";
import { ClientConnection, type ResponseHandler, type ResponseHead } from "@etcd-ts/rpc/http1";
import { hexId } from "../ids.ts";
import { type LinkContext, ownFields, streamPath, tlsFor } from "./link-context.ts";
import { areOfStrictMember } from "./peer-headers.ts";
import type { PeerStatus } from "./peer-status.ts";
import type { PeerUrl, UrlPicker } from "./peer-url.ts";
import { AppendDecoder, type MessageDecoder, PlainDecoder, StreamError } from "./stream-codecs.ts";
import type { StreamKind } from "./stream-writer.ts";
import { servesStreams } from "./versions.ts";

const attemptMs = 100;
const errorTextBytesMax = 1024;

export interface StreamReaderParts {
  readonly context: LinkContext;
  readonly peerId: bigint;
  readonly kind: StreamKind;
  readonly urls: UrlPicker;
  readonly status: PeerStatus;
  readonly take: (message: Message) => void;
}

export class StreamReader {
  readonly #parts: StreamReaderParts;
  #timer: Timer | undefined;
  #attempt: Attempt | undefined;
  #lastAttemptMs = Number.NEGATIVE_INFINITY;
  #lastReason = "";
  #stopped = false;

  constructor(parts: StreamReaderParts) {
    this.#parts = parts;
  }

  get isAttached(): boolean {
    return this.#attempt?.isOpen ?? false;
  }

  start(): void {
    this.#arm();
  }

  stop(): void {
    this.#stopped = true;
    this.#timer?.cancel();
    this.#attempt?.stop();
  }

  #arm(): void {
    const { host } = this.#parts.context;
    const waitMs = this.#lastAttemptMs + attemptMs - host.clock.monotonicMs();
    this.#timer = host.timers.after(Math.max(0, waitMs), () => this.#dial());
  }

  #dial(): void {
    const { context, urls } = this.#parts;
    this.#lastAttemptMs = context.host.clock.monotonicMs();
    const url = urls.pick();
    if (url === undefined) this.#arm();
    else {
      this.#attempt = new Attempt(this.#parts, url, (reason, urlFailed) =>
        this.#ended(url, reason, urlFailed),
      );
    }
  }

  #ended(url: PeerUrl, reason: string, urlFailed: boolean): void {
    const { context, urls, status, kind, peerId } = this.#parts;
    const wasOpen = this.#attempt?.isOpen ?? false;
    this.#attempt = undefined;
    if (this.#stopped) return;
    if (urlFailed) urls.failed(url);
    status.deactivate(`read from ${kind} stream`, reason);
    if (wasOpen) context.metrics.receivedFailures.add(1, hexId(peerId));
    // Said once, not ten times a second.
    if (wasOpen || reason !== this.#lastReason) {
      context.log.warn(
        wasOpen
          ? "lost TCP streaming connection with remote peer"
          : "failed to open a stream from remote peer",
        {
          "stream-reader-type": kind,
          "local-member-id": hexId(context.own.memberId),
          "remote-peer-id": hexId(peerId),
          address: url.text,
          error: reason,
        },
      );
    }
    this.#lastReason = wasOpen ? "" : reason;
    this.#arm();
  }
}

class Attempt implements ResponseHandler {
  readonly #parts: StreamReaderParts;
  /** The peer's id, as it is printed. */
  readonly #peer: string;
  readonly #url: PeerUrl;
  readonly #ended: (reason: string, urlFailed: boolean) => void;
  readonly #connection: ClientConnection;
  #decoder: MessageDecoder | undefined;
  /** Why it is over, where the connection does not know better. */
  #reason: string | undefined;
  #status = 0;
  #errorText = "";
  #over = false;

  constructor(
    parts: StreamReaderParts,
    url: PeerUrl,
    ended: (reason: string, urlFailed: boolean) => void,
  ) {
    const { context, kind, peerId } = parts;
    this.#parts = parts;
    this.#peer = hexId(peerId);
    this.#url = url;
    this.#ended = ended;
    this.#connection = new ClientConnection({
      host: context.host,
      address: url.address,
      authority: url.authority,
      tls: tlsFor(url, context.clientTls),
      dialTimeoutMs: context.dialTimeoutMs,
      readIdleMs: context.readIdleMs,
      writeIdleMs: context.writeIdleMs,
    });
    this.#connection.send(
      {
        method: "GET",
        target: `${streamPath}/${kind}/${hexId(context.own.memberId)}`,
        fields: [...ownFields(context), ["X-Raft-To", this.#peer]],
      },
      this,
    );
  }

  get isOpen(): boolean {
    return this.#decoder !== undefined;
  }

  stop(): void {
    this.#over = true;
    this.#connection.destroy();
  }

  onHead(head: ResponseHead): void {
    const { context, kind, peerId, status } = this.#parts;
    this.#status = head.status;
    if (!servesStreams(head.fields.get("x-server-version"))) {
      this.#fail("unsupported stream type");
      return;
    }
    if (head.status === 410) context.removed();
    if (head.status !== 200) return;
    if (areOfStrictMember(head.fields)) context.seams.strictMemberMet();
    const { memberId } = context.own;
    this.#decoder = kind === "msgapp" ? new AppendDecoder(peerId, memberId) : new PlainDecoder();
    status.activate();
    context.log.info("established TCP streaming connection with remote peer", {
      "stream-reader-type": kind,
      "local-member-id": hexId(memberId),
      "remote-peer-id": this.#peer,
      address: this.#url.text,
    });
  }

  onBody(part: Bytes): void {
    if (this.#over) return;
    if (this.#decoder === undefined) {
      if (this.#errorText.length < errorTextBytesMax) this.#errorText += bytesToUtf8(part);
      else this.#fail("an endless answer");
      return;
    }
    this.#parts.context.metrics.receivedBytes.add(part.length, this.#peer);
    try {
      this.#decoder.push(part, this.#onMessage);
    } catch (error) {
      if (!(error instanceof StreamError)) throw error;
      this.#fail(error.message);
    }
  }

  readonly #onMessage = (message: Message): void => {
    if (!this.#over) this.#parts.take(message);
  };

  onDrain(): void {}

  onDone(error: Error | undefined): void {
    if (this.#over) return;
    this.#over = true;
    // A member that refuses may be the right one in another state, except where it does not know us at all.
    const refused = this.#status !== 0 && this.#status !== 200;
    const reason =
      this.#reason ??
      (refused
        ? `unexpected http status ${this.#status} (${this.#errorText.trim()})`
        : (error?.message ?? "the stream ended"));
    this.#ended(reason, !refused || this.#status === 404);
  }

  #fail(reason: string): void {
    this.#reason = reason;
    this.#connection.destroy(reason);
  }
}
