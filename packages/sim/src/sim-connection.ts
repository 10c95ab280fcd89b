// One side of a stream between two machines: what was written and has not arrived, what has arrived and was not
// taken, and what is held because nothing gets through.

import {
  type Bytes,
  type Connection,
  type ConnectionHandler,
  copyBytes,
  NetError,
} from "@etcd-ts/base";
import type { NetPort, SimNet, Wire } from "./net.ts";

/** After so much silence a side probes, and after so much more without an answer it gives up; as Node sets it. */
const keepAliveMs = 30_000;
const keepAliveGiveUpMs = 10_000;
const highWaterBytes = 64 * 1024;
/** How often a side that broke tries to tell the other over a wire that is cut. */
const tellAgainMs = 1000;
/** At most so long after a cut has ended, what was held is sent again. */
const resendMsMax = 200;

type Item = Bytes | "end";

export class SimConnection implements Connection {
  readonly localAddress: string;
  readonly remoteAddress: string;
  readonly remoteHost: string;
  readonly tls = undefined;
  handler: ConnectionHandler | undefined;
  other: SimConnection | undefined;
  readonly #port: NetPort;
  readonly #net: SimNet;
  readonly #out: Wire;
  /** Bytes and the end that arrived while paused, in order. */
  #arrived: Item[] = [];
  /** What did not get through, in order. While there is something, everything later waits behind it. */
  #held: Item[] = [];
  /** Acknowledgements for the other side that did not get through. */
  #heldAcknowledged = 0;
  #stuckSinceMs = -1;
  #isListed = false;
  #paused = false;
  #open = false;
  #ended = false;
  #closed = false;
  #inFlightBytes = 0;
  #needDrain = false;
  #lastArrivalMs = 0;
  /** Written before the connection was established. */
  #early: Item[] = [];

  constructor(port: NetPort, remoteHost: string, localAddress: string, remoteAddress: string) {
    this.#port = port;
    this.#net = port.net;
    this.remoteHost = remoteHost;
    this.#out = port.net.wire(port.name, remoteHost);
    this.localAddress = localAddress;
    this.remoteAddress = remoteAddress;
    port.add(this);
  }

  get isClosed(): boolean {
    return this.#closed;
  }

  get localHost(): string {
    return this.#port.name;
  }

  /** The side that dialled hears that its connection is there; now both may send. */
  opened(): void {
    if (this.#closed) return;
    this.#open = true;
    this.handler?.onOpen?.();
    this.#flushEarly();
    const far = this.other as SimConnection;
    far.#open = true;
    far.#flushEarly();
  }

  #flushEarly(): void {
    const early = this.#early;
    this.#early = [];
    for (const it of early) this.#transmit(it);
  }

  write(bytes: Bytes): boolean {
    if (this.#ended || this.#closed) return true;
    this.#inFlightBytes += bytes.length;
    // The other side gets bytes of its own, as from a wire.
    this.#transmit(copyBytes(bytes));
    this.#needDrain ||= this.#inFlightBytes > highWaterBytes;
    return !this.#needDrain;
  }

  get isWritten(): boolean {
    return true;
  }

  end(): void {
    if (this.#ended || this.#closed) return;
    this.#ended = true;
    this.#transmit("end");
  }

  pause(): void {
    this.#paused = true;
  }

  resume(): void {
    if (!this.#paused) return;
    this.#paused = false;
    this.#later(() => this.#deliver());
  }

  destroy(): void {
    if (this.#closed) return;
    this.#tellReset();
    this.broken(undefined);
  }

  detach(): unknown {
    throw netError("UNSUPPORTED", "the virtual network has no foreign sockets");
  }

  /** Its machine lost power: gone without a word. What the other side finds out, it finds out by probing. */
  abandon(): void {
    this.#closed = true;
    this.#port.remove(this);
    const far = this.other;
    if (far === undefined) return;
    this.#net.world.after(keepAliveMs, () => far.#probe(), far.#port.gate);
  }

  /** TCP's keep-alive: the other machine answers that it does not know this connection, or does not answer. */
  #probe(): void {
    if (this.#closed) return;
    const net = this.#net;
    const answers =
      !net.isDark(this.remoteHost) &&
      !net.isCut(this.localHost, this.remoteHost) &&
      !net.isCut(this.remoteHost, this.localHost);
    if (answers) this.broken(netError("ECONNRESET", "connection reset by peer"));
    else {
      const giveUp = (): void => this.broken(netError("ETIMEDOUT", "connection timed out"));
      net.world.after(keepAliveGiveUpMs, giveUp, this.#port.gate);
    }
  }

  /** Ends here, now; `onClose` comes from the event loop. */
  broken(error: NetError | undefined): void {
    if (this.#closed) return;
    this.#closed = true;
    this.#port.remove(this);
    if (this.#port.isDead) return;
    this.#later(() => this.handler?.onClose(error));
  }

  /** The other side has taken that many of our bytes. */
  acknowledged(count: number): void {
    this.#inFlightBytes -= count;
    if (!this.#needDrain || this.#inFlightBytes > 0) return;
    this.#needDrain = false;
    this.#later(() => {
      if (!this.#closed) this.handler?.onDrain();
    });
  }

  /** A cut may have ended. */
  retry(): void {
    this.#isListed = false;
    const net = this.#net;
    if (this.#closed || this.other === undefined) return;
    const { nowMs, random } = net.world;
    if (net.isCut(this.localHost, this.remoteHost) || net.isDark(this.remoteHost)) {
      const limit = net.faults.unacknowledgedMsMax ?? Number.POSITIVE_INFINITY;
      if (nowMs - this.#stuckSinceMs >= limit) {
        this.broken(netError("ETIMEDOUT", "connection timed out"));
      } else this.#list();
      return;
    }
    this.#stuckSinceMs = -1;
    const count = this.#heldAcknowledged;
    this.#heldAcknowledged = 0;
    if (count > 0) this.other.acknowledged(count);
    const held = this.#held;
    this.#held = [];
    if (held.length === 0) return;
    const resendMs = random.below(resendMsMax);
    this.#lastArrivalMs = Math.max(this.#lastArrivalMs, nowMs + resendMs);
    for (const it of held) this.#transmit(it);
  }

  #transmit(it: Item): void {
    if (!this.#open) {
      this.#early.push(it);
      return;
    }
    const far = this.other as SimConnection;
    if (this.#held.length > 0) {
      this.#held.push(it);
      return;
    }
    if (far.#port.isDead) {
      this.#hold(it); // its gate would swallow it, and we would never know
      return;
    }
    const net = this.#net;
    const atMs = Math.max(
      this.#lastArrivalMs,
      net.arrivalMs(this.#out, it === "end" ? 0 : it.length),
    );
    this.#lastArrivalMs = atMs;
    net.world.after(atMs - net.world.nowMs, () => this.#arrive(far, it), far.#port.gate);
  }

  #arrive(far: SimConnection, it: Item): void {
    if (far.#closed || far.#port.isDead || this.#closed) return;
    const net = this.#net;
    if (this.#held.length > 0 || net.isCut(this.localHost, this.remoteHost)) {
      this.#hold(it);
      return;
    }
    net.world.mix(it.length);
    far.#arrived.push(it);
    far.#deliver();
  }

  /** What was sent got stuck. When nothing ends that, the connection breaks. */
  #hold(it: Item): void {
    const far = this.other as SimConnection;
    if (far.#port.isDead && !this.#net.isDark(this.remoteHost)) {
      // The machine is up again and does not know this connection.
      this.#later(() => {
        this.broken(netError("ECONNRESET", "connection reset by peer"));
      });
      return;
    }
    this.#held.push(it);
    this.#list();
  }

  #list(): void {
    if (this.#isListed) return;
    this.#isListed = true;
    const net = this.#net;
    if (this.#stuckSinceMs < 0) {
      this.#stuckSinceMs = net.world.nowMs;
      const limit = net.faults.unacknowledgedMsMax;
      if (limit !== undefined) {
        net.world.after(limit, () => this.#giveUp(), this.#port.gate);
      }
    }
    net.hold(this);
  }

  #giveUp(): void {
    const limit = this.#net.faults.unacknowledgedMsMax as number;
    if (this.#stuckSinceMs < 0 || this.#net.world.nowMs - this.#stuckSinceMs < limit) return;
    this.broken(netError("ETIMEDOUT", "connection timed out"));
  }

  #deliver(): void {
    while (!this.#paused && !this.#closed && this.#arrived.length > 0) {
      const it = this.#arrived.shift() as Item;
      if (it === "end") {
        this.handler?.onEnd();
        if (this.#ended) this.#finish();
      } else {
        this.#acknowledge(it.length);
        this.handler?.onData(it);
      }
    }
  }

  #acknowledge(count: number): void {
    const net = this.#net;
    if (net.isCut(this.localHost, this.remoteHost)) {
      this.#heldAcknowledged += count;
      this.#list();
    } else this.other?.acknowledged(count);
  }

  /** Both directions ended in peace. */
  #finish(): void {
    const far = this.other;
    this.broken(undefined);
    far?.broken(undefined);
  }

  /** The other side hears of it if the wire lets it, else when it sends something. */
  #tellReset(): void {
    const far = this.other;
    if (far === undefined) return;
    const net = this.#net;
    const reset = (): void => far.broken(netError("ECONNRESET", "connection reset by peer"));
    const delayMs = net.latencyMs(this.localHost, this.remoteHost);
    const attempt = (): void => {
      if (far.#closed || far.#port.isDead) return;
      if (!net.isCut(this.localHost, this.remoteHost)) reset();
      else net.world.after(tellAgainMs, attempt, far.#port.gate);
    };
    net.world.after(delayMs, attempt, far.#port.gate);
  }

  #later(run: () => void): void {
    this.#net.world.after(0, run, this.#port.gate);
  }
}

/** Without a stack: dialling who is down is done all the time, and a stack costs more than the dialling. */
export function netError(code: string, message: string): NetError {
  const limit = Error.stackTraceLimit;
  Error.stackTraceLimit = 0;
  const error = new NetError(code, message);
  Error.stackTraceLimit = limit;
  return error;
}
