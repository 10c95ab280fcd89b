// Sends a snapshot: the state as of now, not as of raft's last mark, as one request.
//
//     open a view ──► POST /raft/snapshot: envelope, database ──► 204 ──► raft may go on with this peer
//
// The database is written as fast as the peer takes it; nothing of it is kept. A peer that takes nothing for
// a minute is given up, as the view holds back space in the store.

import { allocateBytes, type Bytes, background, type Timer } from "@etcd-ts/base";
import {
  Message,
  MessageType,
  Snapshot,
  SnapshotMetadata,
  sizeMessage,
  writeMessage,
} from "@etcd-ts/raft";
import { ClientConnection, type ResponseHandler, type ResponseHead } from "@etcd-ts/rpc/http1";
import { hexId } from "../ids.ts";
import { type LinkContext, ownFields, snapshotPath, tlsFor } from "./link-context.ts";
import type { UrlPicker } from "./peer-url.ts";
import type { DatabaseSink, OutgoingSnapshot } from "./seams.ts";
import { writeUint64 } from "./wire-numbers.ts";

/** No byte left for so long: the peer hangs. */
const stallMs = 60_000;
/** A stock member cuts a request after five minutes; longer than that nobody waits for an answer. */
const answerMs = 300_000;
/** A peer that has come back gets so long to show that it still knows of the request. */
const cameBackMs = 1_500;
/** Handed to the socket in one go; small enough to be copied into its frame, so the writer keeps its buffer. */
const pieceBytes = 64 * 1024;
/** After that many bytes without waiting for the socket the event loop gets its turn. */
const turnBytes = 512 * 1024;

export interface SnapshotOutcome {
  readonly error: string | undefined;
  /** A peer that says so itself. */
  readonly saysRemoved: boolean;
}

export class SnapshotSending {
  readonly #context: LinkContext;
  readonly #peerId: bigint;
  readonly #urls: UrlPicker;
  readonly #done: (outcome: SnapshotOutcome) => void;
  #upload: Upload | undefined;
  #stopped = false;

  /** `request`: what raft wants to send; `done` is called once, from the event loop, unless stopped. */
  constructor(
    context: LinkContext,
    peerId: bigint,
    urls: UrlPicker,
    request: Message,
    done: (outcome: SnapshotOutcome) => void,
  ) {
    this.#context = context;
    this.#peerId = peerId;
    this.#urls = urls;
    this.#done = done;
    background(this.#run(request), (error) =>
      this.#finish({ error: error.message, saysRemoved: false }),
    );
  }

  stop(): void {
    this.#stopped = true;
    this.#upload?.abort("stopped");
  }

  /**
   * The peer has dialled anew. If it was restarted, nobody will ever answer what was sent before, and a
   * machine that lost its power did not even close the connection. If it was not, it still takes over what it
   * got whole, whether or not it can tell us.
   */
  peerCameBack(): void {
    this.#upload?.doubt();
  }

  async #run(request: Message): Promise<void> {
    const { host, seams, metrics, log } = this.#context;
    const to = hexId(this.#peerId);
    const startMs = host.clock.monotonicMs();
    await new Promise<void>((resolve) => host.timers.soon(resolve));
    if (this.#stopped) return;
    metrics.snapshotSendInFlight.add(1, to);
    let outcome: SnapshotOutcome;
    try {
      const snapshot = await seams.openSnapshot();
      try {
        outcome = await this.#send(request, snapshot);
      } finally {
        snapshot.close();
      }
    } catch (reason) {
      outcome = { error: textOf(reason), saysRemoved: false };
    } finally {
      metrics.snapshotSendInFlight.add(-1, to);
    }
    if (outcome.error === undefined) {
      metrics.snapshotSendSuccess.add(1, to);
      metrics.snapshotSendSeconds.of(to).observe((host.clock.monotonicMs() - startMs) / 1000);
      log.info("sent database snapshot", { "remote-peer-id": to });
    } else {
      metrics.snapshotSendFailures.add(1, to);
      metrics.sentFailures.add(1, to);
      log.warn("failed to send database snapshot", { "remote-peer-id": to, error: outcome.error });
    }
    this.#finish(outcome);
  }

  async #send(request: Message, snapshot: OutgoingSnapshot): Promise<SnapshotOutcome> {
    const url = this.#urls.pick();
    if (url === undefined || this.#stopped) {
      return { error: this.#stopped ? "stopped" : "no URL to send to", saysRemoved: false };
    }
    const message = withState(request, snapshot);
    this.#context.log.info("sending database snapshot", {
      "remote-peer-id": hexId(this.#peerId),
      "snapshot-index": snapshot.index,
      address: url.text,
    });
    const upload = new Upload(this.#context, url);
    this.#upload = upload;
    let problem: string | undefined;
    try {
      await upload.write(envelope(message));
      await snapshot.write(upload);
      upload.end();
    } catch (reason) {
      // The answer may say why the upload came to an end; without one this is the reason.
      problem = textOf(reason);
      if (!upload.isOver) upload.abort(problem);
    }
    const { status, text, error } = await upload.answer;
    if (status === 204 || status === 200) {
      return { error: problem, saysRemoved: false };
    }
    if (status === 0) this.#urls.failed(url);
    const said =
      status === 0 ? (problem ?? error ?? "no answer") : `http status ${status} (${text})`;
    return { error: said, saysRemoved: status === 403 && text.includes("removed member") };
  }

  #finish(outcome: SnapshotOutcome): void {
    if (!this.#stopped) this.#done(outcome);
  }
}

/** The message that raft made, with the state that is really sent. */
function withState(request: Message, state: OutgoingSnapshot): Message {
  const metadata = new SnapshotMetadata();
  metadata.index = state.index;
  metadata.term = state.term;
  metadata.confState = state.confState;
  const snapshot = new Snapshot();
  snapshot.metadata = metadata;
  snapshot.data = state.data;
  const message = new Message();
  message.type = MessageType.MsgSnap;
  message.to = request.to;
  message.from = request.from;
  message.term = request.term;
  message.snapshot = snapshot;
  return message;
}

/** u64 length ‖ message: what stands before the database. */
export function envelope(message: Message): Bytes {
  const size = sizeMessage(message);
  const bytes = allocateBytes(8 + size);
  writeMessage(message, bytes, writeUint64(bytes, 0, size));
  return bytes;
}

interface Answer {
  /** 0: none. */
  readonly status: number;
  readonly text: string;
  readonly error: string | undefined;
}

/** The request on the wire: a sink with back-pressure. */
class Upload implements ResponseHandler, DatabaseSink {
  readonly #context: LinkContext;
  readonly #connection: ClientConnection;
  readonly answer: Promise<Answer>;
  #settle!: (answer: Answer) => void;
  #wake: (() => void) | undefined;
  #status = 0;
  #text = "";
  #over: string | undefined;
  #bytesSinceTurn = 0;
  #timer: Timer | undefined;
  #doubtTimer: Timer | undefined;
  /** Bytes that the socket took. */
  #sentBytes = 0;

  constructor(context: LinkContext, url: NonNullable<ReturnType<UrlPicker["pick"]>>) {
    this.#context = context;
    this.answer = new Promise((resolve) => {
      this.#settle = resolve;
    });
    this.#connection = new ClientConnection({
      host: context.host,
      address: url.address,
      authority: url.authority,
      tls: tlsFor(url, context.clientTls),
      dialTimeoutMs: context.dialTimeoutMs,
      readIdleMs: 0,
      writeIdleMs: stallMs,
    });
    this.#connection.send(
      {
        method: "POST",
        target: snapshotPath,
        fields: [["Content-Type", "application/octet-stream"], ...ownFields(context)],
        body: "stream",
      },
      this,
    );
  }

  get isOver(): boolean {
    return this.#over !== undefined;
  }

  begin(_bytes: number): void {
    // The request is sent in chunks; the receiver knows the end when it comes.
  }

  async write(part: Bytes): Promise<void> {
    for (let at = 0; at < part.length; at += pieceBytes) {
      if (this.#over !== undefined) throw new Error(this.#over);
      const piece = part.subarray(at, Math.min(part.length, at + pieceBytes));
      this.#bytesSinceTurn += piece.length;
      this.#sentBytes += piece.length;
      if (!this.#connection.write(piece)) await this.#drained();
      else if (this.#bytesSinceTurn > turnBytes) await this.pause();
    }
    if (this.#over !== undefined) throw new Error(this.#over);
  }

  pause(): Promise<void> {
    this.#bytesSinceTurn = 0;
    return new Promise((resolve) => this.#context.host.timers.soon(resolve));
  }

  end(): void {
    this.#connection.end();
    this.#timer = this.#context.host.timers.after(answerMs, () => this.abort("no answer"));
  }

  /** Ends unless bytes go on leaving. */
  doubt(): void {
    if (this.#over !== undefined) return;
    const sentBefore = this.#sentBytes;
    this.#doubtTimer?.cancel();
    this.#doubtTimer = this.#context.host.timers.after(cameBackMs, () => {
      if (this.#sentBytes > sentBefore) this.doubt();
      else this.abort("the peer came back without an answer");
    });
  }

  abort(reason: string): void {
    this.#connection.destroy(reason);
  }

  onHead(head: ResponseHead): void {
    this.#status = head.status;
  }

  onBody(part: Bytes): void {
    for (let i = 0; i < part.length && this.#text.length < 512; i++) {
      this.#text += String.fromCharCode(part[i]!);
    }
  }

  onDrain(): void {
    this.#wakeUp();
  }

  onDone(error: Error | undefined): void {
    this.#timer?.cancel();
    this.#doubtTimer?.cancel();
    this.#over = error?.message ?? "answered before the end";
    this.#wakeUp();
    this.#settle({ status: this.#status, text: this.#text.trim(), error: error?.message });
  }

  #drained(): Promise<void> {
    this.#bytesSinceTurn = 0;
    if (this.#over !== undefined) return Promise.resolve();
    return new Promise((resolve) => {
      this.#wake = resolve;
    });
  }

  #wakeUp(): void {
    const wake = this.#wake;
    this.#wake = undefined;
    wake?.();
  }
}

function textOf(reason: unknown): string {
  return reason instanceof Error ? reason.message : String(reason);
}
