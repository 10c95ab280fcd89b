// One connection of a client channel: opens streams, keeps the connection alive, and knows what the
// server's GOAWAY means for its calls.
//
//     opening ──► greeting sent ── SETTINGS of the server ──► ready ── GOAWAY ──► draining ──► closed

import { allocateBytes, type Bytes, type Connection, copyBytes, type Timer } from "@etcd-ts/base";
import { ClientAttempt } from "./client-attempt.ts";
import type { ClientCall } from "./client-call.ts";
import type { ClientKeepalive } from "./client-types.ts";
import type { TransportCounters } from "./counters.ts";
import { clientPreface, ErrorCode, errorCodeNames, Setting } from "./frames.ts";
import { formatGrpcTimeout } from "./grpc-timeout.ts";
import { HeadCache } from "./head-cache.ts";
import type { HeaderField } from "./header-field.ts";
import { fieldBytesMax, HpackEncoder, writeLiteral } from "./hpack-encoder.ts";
import {
  type ConnectionLimits,
  errorLingerMs,
  Http2Connection,
  peaceLingerMs,
} from "./http2-connection.ts";
import { ResponseHead } from "./response-head.ts";
import type { RpcHost } from "./server-options.ts";
import type { GzipCodec } from "./server-types.ts";
import type { Metadata } from "./status.ts";

export interface ClientShared {
  readonly host: RpcHost;
  readonly limits: ConnectionLimits;
  readonly counters: TransportCounters;
  readonly gzip: GzipCodec | undefined;
  readonly receiveBytesMax: number;
  readonly scheme: "http" | "https";
  readonly authority: string;
  readonly userAgent: string;
  /** Undefined: none. The time may grow when a server complains. */
  keepalive: ClientKeepalive | undefined;
  requestFlush(connection: ClientConnection): void;
  connectionReady(connection: ClientConnection): void;
  /** No new calls on it; running ones may go on. */
  connectionDraining(connection: ClientConnection, reason: string): void;
  connectionClosed(connection: ClientConnection, error: Error | undefined): void;
  /** A stream ended, so that another may begin. */
  streamEnded(connection: ClientConnection): void;
  tooManyPings(): void;
}

/** Header blocks by path, as they are when nothing is new to the dynamic table. */
interface CachedBlock {
  readonly tableVersion: number;
  readonly metadata: Metadata;
  readonly compress: boolean;
  readonly block: Bytes;
}

const lastId = 0x7fffffff;
const keepalivePing = 0x6b656570;
const cachedPathsMax = 256;

export class ClientConnection extends Http2Connection {
  readonly gzip: GzipCodec | undefined;
  readonly receiveBytesMax: number;
  readonly #shared: ClientShared;
  readonly #encoder = new HpackEncoder();
  readonly #blocks = new Map<string, CachedBlock>();
  readonly #heads = new HeadCache<ResponseHead>();
  #scratch: Bytes = allocateBytes(1024);
  #nextId = 1;
  #draining = false;
  #ready = false;
  #keepaliveTimer: Timer | undefined;
  /** 0: none is under way. */
  #pingSentMs = 0;

  constructor(io: Connection, shared: ClientShared) {
    super(io, shared.host, shared.limits, shared.counters);
    this.#shared = shared;
    this.gzip = shared.gzip;
    this.receiveBytesMax = shared.receiveBytesMax;
  }

  /** The transport is open: says hello. */
  greet(): void {
    const at = this.out.reserve(clientPreface.length);
    for (let i = 0; i < clientPreface.length; i++) {
      this.out.buffer[at + i] = clientPreface.charCodeAt(i);
    }
    this.out.position = at + clientPreface.length;
    this.writeSettings([
      [Setting.enablePush, 0],
      [Setting.initialWindowSize, this.limits.streamWindowBytes],
    ]);
    this.openConnectionWindow();
    this.flush();
  }

  /** All its streams end because the connection does. */
  get isGone(): boolean {
    return this.inputClosed;
  }

  /** Whether a call can begin now. */
  get mayOpen(): boolean {
    return (
      this.#ready && !this.#draining && !this.inputClosed && this.streams.size < this.peerStreamsMax
    );
  }

  // --- calls ---------------------------------------------------------------------------------------

  open(call: ClientCall): void {
    const id = this.#nextId;
    this.#nextId += 2;
    const attempt = new ClientAttempt(this, id, call, this.limits.streamWindowBytes);
    call.attempt = attempt;
    this.streams.set(id, attempt);
    this.counters.streamsOpened++;
    this.counters.streamsOpen++;
    const length = this.#encodeHead(call);
    this.writeHeaders(id, this.#scratch, length, false);
    attempt.begin();
    if (this.#nextId > lastId) this.#drain("out of stream ids");
  }

  /** Writes the header block to the scratch buffer and returns its length. */
  #encodeHead(call: ClientCall): number {
    const { path, metadata, compress } = call;
    const encoder = this.#encoder;
    const cached = this.#blocks.get(path);
    let length: number;
    if (
      cached !== undefined &&
      cached.tableVersion === encoder.tableVersion &&
      cached.metadata === metadata &&
      cached.compress === compress &&
      !encoder.hasUpdate
    ) {
      length = cached.block.length;
      for (let i = 0; i < length; i++) this.#scratch[i] = cached.block[i]!;
    } else {
      const version = encoder.tableVersion;
      length = this.#encodeFields(path, metadata, compress && this.gzip !== undefined);
      if (encoder.tableVersion === version && length <= 512) {
        if (this.#blocks.size >= cachedPathsMax) this.#blocks.clear();
        const block = copyBytes(this.#scratch.subarray(0, length)); // `slice` of a Buffer is a view
        this.#blocks.set(path, { tableVersion: version, metadata, compress, block });
      }
    }
    if (call.deadlineMs === undefined) return length;
    // Its value changes from call to call, so it stays out of the table.
    const leftMs = call.deadlineMs - call.owner.nowMs();
    this.#reserve(length, 64);
    const timeout = formatGrpcTimeout(Math.max(leftMs, 0.001));
    return writeLiteral(this.#scratch, length, "grpc-timeout", timeout);
  }

  #encodeFields(path: string, metadata: Metadata, compress: boolean): number {
    const { scheme, authority, userAgent, gzip } = this.#shared;
    const encoder = this.#encoder;
    this.#reserve(0, 32);
    let length = encoder.writeUpdates(this.#scratch, 0);
    const add = (name: string, value: string): void => {
      this.#reserve(length, fieldBytesMax(name, value));
      length = encoder.writeField(this.#scratch, length, name, value);
    };
    add(":method", "POST");
    add(":scheme", scheme);
    add(":path", path);
    add(":authority", authority);
    add("content-type", "application/grpc");
    add("user-agent", userAgent);
    add("te", "trailers");
    if (compress) add("grpc-encoding", "gzip");
    if (gzip !== undefined) add("grpc-accept-encoding", "gzip");
    for (const [name, value] of metadata) add(name.toLowerCase(), value);
    return length;
  }

  #reserve(length: number, more: number): void {
    if (length + more <= this.#scratch.length) return;
    const larger = allocateBytes((length + more) * 2);
    larger.set(this.#scratch.subarray(0, length));
    this.#scratch = larger;
  }

  protected override isIdle(id: number): boolean {
    // Servers open none: pushes are switched off.
    return (id & 1) === 0 || id >= this.#nextId;
  }

  protected override onHeaderBlock(
    id: number,
    endStream: boolean,
    bytes: Bytes,
    start: number,
    end: number,
  ): void {
    const { decoder } = this;
    const version = decoder.tableVersion;
    let head = this.#heads.find(bytes, start, end, version);
    let tooLarge = false;
    if (head === undefined) {
      const fields: HeaderField[] = [];
      const outcome = decoder.decode(bytes, start, end, this.limits.headerListBytesMax, fields);
      if (outcome === "invalid") {
        this.fail(ErrorCode.compressionError, "header block");
        return;
      }
      tooLarge = outcome === "too-large";
      head = new ResponseHead(fields);
      if (decoder.tableVersion === version) this.#heads.store(bytes, start, end, version, head);
    }
    const attempt = this.streams.get(id);
    if (!(attempt instanceof ClientAttempt)) {
      this.strayHeaders(id);
      return;
    }
    if (attempt.remoteClosed) {
      this.resetStream(attempt, ErrorCode.streamClosed, "HEADERS after END_STREAM");
      return;
    }
    if (tooLarge) {
      this.resetStream(attempt, ErrorCode.frameSizeError, "header list too large");
      return;
    }
    if (endStream) attempt.remoteClosed = true;
    attempt.receiveHead(head, endStream);
  }

  protected override onStreamRemoved(): void {
    if (this.#draining) this.#closeWhenDone();
    else this.#shared.streamEnded(this);
  }

  // --- the server's wishes -------------------------------------------------------------------------

  protected override onSettingsDone(): void {
    if (this.#ready) {
      this.#shared.streamEnded(this);
      return;
    } // more streams may be allowed now
    this.#ready = true;
    this.#armKeepalive();
    this.#shared.connectionReady(this);
  }

  protected override onPushSetting(value: number): void {
    if (value === 1) this.fail(ErrorCode.protocolError, "ENABLE_PUSH from a server");
  }

  protected override onTableSetting(value: number): void {
    this.#encoder.setTableBytesMax(value);
  }

  protected override onGoaway(lastStream: number, code: number, debug: string): void {
    const reason = `server sent GOAWAY: ${errorCodeNames[code] ?? code}${debug === "" ? "" : `, debug data: "${debug}"`}`;
    if (code === ErrorCode.enhanceYourCalm && debug === "too_many_pings") {
      this.#shared.tooManyPings();
    }
    this.#drain(reason);
    for (const stream of this.streams.values()) {
      if (stream.id <= lastStream || !(stream instanceof ClientAttempt)) continue;
      stream.localClosed = true;
      stream.remoteClosed = true;
      stream.discarding = true;
      this.removeStream(stream);
      stream.unprocessed(reason);
    }
    this.#closeWhenDone();
  }

  #drain(reason: string): void {
    if (this.#draining) return;
    this.#draining = true;
    this.#shared.connectionDraining(this, reason);
    this.#closeWhenDone();
  }

  #closeWhenDone(): void {
    if (this.#draining && this.streams.size === 0) this.finish(undefined, peaceLingerMs);
  }

  // --- pings ---------------------------------------------------------------------------------------

  protected override beforeFlush(): void {}
  /** A client goes on reading: servers stop when they cannot write, and one side must not. */
  protected override onBlocked(): void {}
  protected override onUnblocked(): void {}
  protected override onPing(): void {}
  protected override onPingAck(): void {}

  #armKeepalive(): void {
    const { keepalive, host } = this.#shared;
    if (keepalive === undefined || this.inputClosed) return;
    const dueMs =
      this.#pingSentMs === 0
        ? this.nowMs + keepalive.timeMs
        : this.#pingSentMs + (keepalive.timeoutMs ?? 20_000);
    const delayMs = Math.max(1, dueMs - host.clock.monotonicMs());
    this.#keepaliveTimer = host.timers.after(delayMs, () => this.#checkKeepalive());
  }

  #checkKeepalive(): void {
    const { keepalive, host } = this.#shared;
    if (keepalive === undefined || this.inputClosed) return;
    const nowMs = host.clock.monotonicMs();
    if (this.#pingSentMs !== 0 && this.nowMs > this.#pingSentMs) this.#pingSentMs = 0;
    if (this.#pingSentMs !== 0) {
      if (nowMs - this.#pingSentMs >= (keepalive.timeoutMs ?? 20_000)) {
        this.lose("keepalive ping failed to receive ACK within timeout");
        return;
      }
    } else if (nowMs - this.nowMs >= keepalive.timeMs) {
      if (this.streams.size > 0 || keepalive.permitWithoutStream === true) {
        this.#pingSentMs = nowMs;
        this.writePing(keepalivePing, 0, 0);
      } else {
        // Asleep until there is a stream; the time starts anew.
        this.nowMs = nowMs;
      }
    }
    this.#armKeepalive();
  }

  // --- ends ----------------------------------------------------------------------------------------

  /** Ends all calls with CANCELLED, and the connection. */
  cancelCalls(message: string): void {
    for (const stream of this.streams.values()) {
      if (stream instanceof ClientAttempt) stream.call.cancel(message);
    }
    this.finish(undefined, errorLingerMs);
  }

  /** Gives the connection up at once. */
  lose(reason: string): void {
    if (this.closed) return;
    this.#lostBecause = reason;
    this.io.destroy();
    // The streams learn it now, whenever the host says so.
    this.abandonStreams(reason);
  }

  #lostBecause: string | undefined;

  protected override requestFlush(): void {
    this.#shared.requestFlush(this);
  }

  protected override onClosed(error: Error | undefined): void {
    this.#keepaliveTimer?.cancel();
    const reason = this.#lostBecause;
    this.#shared.connectionClosed(this, reason === undefined ? error : new Error(reason));
  }
}
