// One stream that carries many watches.
//
// The stream may break at any moment (its member stops, a wire is cut) and is then opened again, on another
// member if need be; every watch goes on from the revision after the last one that it handed out. Nothing is
// lost, since the member replays history from there, and nothing is repeated, since a revision arrives in one
// response and counts as handed out only when the response is whole.
//
//     add ──► creating ──► active ──► ended
//                ▲  │         │
//                │  └─stream──┤ stream broke: created again from `nextRevision`
//                │            ▼
//                └─────── parked      its consumer is slow: cancelled on the member, created again when
//                                     what was queued is consumed
//
// A member answers create requests in their order, so the n-th answer belongs to the n-th request; ids are
// only known from then on. Parking bounds the memory of a slow watch without holding the stream back, which
// would stall all other watches on it.

import {
  decodeWatchResponse,
  encodeWatchRequest,
  WatchCancelRequest,
  type WatchCreateRequest,
  WatchProgressRequest,
  WatchRequest,
  type WatchResponse,
} from "@etcd-ts/api";
import { background } from "@etcd-ts/base";
import { RpcError } from "@etcd-ts/rpc";
import { closedError } from "./balancer.ts";
import { isTokenProblem, toClientError, watchError } from "./errors.ts";
import { isPassing } from "./retry.ts";
import type { OpenStream, Transport } from "./transport.ts";

const path = "/etcdserverpb.Watch/Watch";
/** A cluster without a leader ends the streams that asked for one. */
const noLeaderText = "etcdserver: no leader";

/** Pause before the n-th attempt to reopen: none, then doubling up to the second figure. */
const reopenDelayMs = { first: 25, max: 1_000 } as const;

/** Where a watch stands; the hub's side of a `Watch`. */
export interface Watcher {
  /** The request as the user made it; `startRevision` is filled in from `nextRevision`. */
  readonly create: WatchCreateRequest;
  /** First revision not handed out yet; 0: from the moment of creation on. */
  nextRevision: bigint;
  /** A whole response. Returns false when it should be parked. */
  deliver(response: WatchResponse): boolean;
  /** The member has created it, for the first time or again. */
  created(response: WatchResponse): void;
  /** The end; `last` is the member's own last word, when it had one. */
  fail(error: Error, last: WatchResponse | undefined): void;
}

/** What the hub knows of a watcher on the present stream. */
interface Place {
  id: bigint | undefined;
  fragments: WatchResponse | undefined;
}

export class WatchHub {
  readonly #transport: Transport;
  readonly #requireLeader: boolean;
  readonly #watchers = new Map<Watcher, Place>();
  readonly #parked = new Set<Watcher>();
  /** Watchers by the member's id, on the present stream. */
  #byId = new Map<bigint, Watcher>();
  /** Create requests that wait for their answers, in order. A watcher that left is undefined. */
  #creating: (Watcher | undefined)[] = [];
  #open: OpenStream | undefined;
  #opening = false;
  #closed = false;
  /** Streams that ended since one last worked. */
  #failures = 0;
  #tokenRenewed = false;

  constructor(transport: Transport, requireLeader: boolean) {
    this.#transport = transport;
    this.#requireLeader = requireLeader;
  }

  add(watcher: Watcher): void {
    if (this.#closed) {
      watcher.fail(closedError(), undefined);
      return;
    }
    this.#watchers.set(watcher, { id: undefined, fragments: undefined });
    if (this.#open !== undefined) this.#sendCreate(watcher);
    else this.#openSoon();
  }

  /** Ends a watch from this side. */
  remove(watcher: Watcher): void {
    const place = this.#watchers.get(watcher);
    if (place === undefined) return;
    this.#watchers.delete(watcher);
    this.#parked.delete(watcher);
    this.#leaveStream(watcher, place);
    if (this.#watchers.size === 0) this.#closeStream();
  }

  /** A parked watch goes on. */
  resume(watcher: Watcher): void {
    if (!this.#parked.delete(watcher)) return;
    if (this.#open !== undefined) this.#sendCreate(watcher);
    else this.#openSoon();
  }

  /** Asks the member how far its watches are; the answer reaches all of them. */
  requestProgress(): void {
    const request = new WatchRequest();
    request.progressRequest = new WatchProgressRequest();
    this.#open?.stream.send(encodeWatchRequest(request));
  }

  close(): void {
    if (this.#closed) return;
    this.#closed = true;
    this.#failAll(closedError());
    this.#closeStream();
  }

  // --- the stream ---------------------------------------------------------------------------------

  #openSoon(): void {
    if (this.#opening || this.#closed) return;
    this.#opening = true;
    background(this.#openStream(), (error) => {
      this.#opening = false;
      this.#failAll(error instanceof RpcError ? toClientError(error) : error);
    });
  }

  async #openStream(): Promise<void> {
    if (this.#failures > 1) {
      const { first, max } = reopenDelayMs;
      await this.#transport.pause(Math.min(max, first * 2 ** (this.#failures - 2)));
    }
    // Callbacks of a stream that was left behind must not touch the present one.
    let mine: OpenStream | undefined;
    const isPresent = (): boolean => mine !== undefined && this.#open === mine;
    mine = await this.#transport.openStream(
      path,
      {
        onMessage: (message) => {
          if (isPresent()) this.#receive(decodeWatchResponse(message));
        },
        onEnd: (error) => {
          if (isPresent()) this.#ended(error);
        },
      },
      { requireLeader: this.#requireLeader },
    );
    this.#opening = false;
    if (this.#closed || this.#watchers.size === 0) {
      mine.stream.cancel();
      return;
    }
    this.#open = mine;
    for (const watcher of this.#watchers.keys()) {
      if (!this.#parked.has(watcher)) this.#sendCreate(watcher);
    }
  }

  #closeStream(): void {
    const open = this.#open;
    this.#forgetStream();
    open?.stream.cancel();
  }

  #forgetStream(): void {
    this.#open = undefined;
    this.#byId = new Map();
    this.#creating = [];
    for (const place of this.#watchers.values()) {
      place.id = undefined;
      // Half a response is thrown away: the member sends all of it again.
      place.fragments = undefined;
    }
  }

  #ended(error: RpcError | undefined): void {
    const at = this.#open?.at;
    this.#forgetStream();
    this.#failures += 1;
    if (error !== undefined) {
      if (isTokenProblem(error) && !this.#tokenRenewed && this.#transport.forgetToken()) {
        this.#tokenRenewed = true;
      } else if (!isPassing(error) || (this.#requireLeader && error.message === noLeaderText)) {
        this.#failAll(toClientError(error));
        return;
      }
      if (at !== undefined) this.#transport.penalise(at);
      this.#transport.warn("watch stream ended, opening it again", error);
    }
    if (this.#watchers.size > 0) this.#openSoon();
  }

  #failAll(error: Error): void {
    const watchers = [...this.#watchers.keys()];
    this.#watchers.clear();
    this.#parked.clear();
    this.#closeStream();
    for (const watcher of watchers) watcher.fail(error, undefined);
  }

  // --- requests -----------------------------------------------------------------------------------

  #sendCreate(watcher: Watcher): void {
    watcher.create.startRevision = watcher.nextRevision;
    const request = new WatchRequest();
    request.createRequest = watcher.create;
    this.#creating.push(watcher);
    this.#open?.stream.send(encodeWatchRequest(request));
  }

  #sendCancel(id: bigint): void {
    const request = new WatchRequest();
    request.cancelRequest = new WatchCancelRequest();
    request.cancelRequest.watchId = id;
    this.#open?.stream.send(encodeWatchRequest(request));
  }

  /** Takes a watcher off the present stream; it may be waiting for its creation, or have an id. */
  #leaveStream(watcher: Watcher, place: Place): void {
    const waiting = this.#creating.indexOf(watcher);
    if (waiting >= 0) this.#creating[waiting] = undefined;
    if (place.id !== undefined) {
      this.#byId.delete(place.id);
      this.#sendCancel(place.id);
    }
    place.id = undefined;
    place.fragments = undefined;
  }

  // --- responses ----------------------------------------------------------------------------------

  #receive(response: WatchResponse): void {
    if (response.created) {
      this.#created(response);
      return;
    }
    if (response.watchId === -1n) {
      // Progress of the whole stream.
      if (!response.canceled)
        for (const watcher of [...this.#byId.values()]) this.#deliver(watcher, response);
      return;
    }
    const watcher = this.#byId.get(response.watchId);
    if (watcher === undefined) return; // What was under way when we cancelled it.
    if (response.canceled) this.#canceled(watcher, response);
    else this.#deliver(watcher, response);
  }

  #created(response: WatchResponse): void {
    const watcher = this.#creating.shift();
    const place = watcher === undefined ? undefined : this.#watchers.get(watcher);
    if (watcher === undefined || place === undefined) {
      if (!response.canceled) this.#sendCancel(response.watchId); // It left meanwhile.
      return;
    }
    if (response.canceled) {
      if (this.#tryFreshToken(response)) return;
      this.#canceled(watcher, response);
      return;
    }
    this.#failures = 0;
    this.#tokenRenewed = false;
    place.id = response.watchId;
    this.#byId.set(response.watchId, watcher);
    if (watcher.nextRevision === 0n) {
      watcher.nextRevision = BigInt(response.header?.revision ?? 0) + 1n;
    }
    watcher.created(response);
  }

  /** A refusal for the sake of the token: once, all start again with a fresh one. */
  #tryFreshToken(response: WatchResponse): boolean {
    if (this.#tokenRenewed || !isTokenProblem(watchError(response))) return false;
    if (!this.#transport.forgetToken()) return false;
    this.#tokenRenewed = true;
    this.#closeStream();
    this.#openSoon();
    return true;
  }

  #canceled(watcher: Watcher, response: WatchResponse): void {
    const place = this.#watchers.get(watcher);
    this.#watchers.delete(watcher);
    if (place?.id !== undefined) this.#byId.delete(place.id);
    watcher.fail(watchError(response), response);
    if (this.#watchers.size === 0) this.#closeStream();
  }

  #deliver(watcher: Watcher, response: WatchResponse): void {
    const place = this.#watchers.get(watcher);
    if (place === undefined) return;
    let whole = response;
    if (place.fragments !== undefined) {
      for (const event of response.events) place.fragments.events.push(event);
      whole = place.fragments;
      whole.header = response.header;
      whole.fragment = false;
    }
    if (response.fragment) {
      place.fragments = whole;
      return;
    }
    place.fragments = undefined;
    if (whole.events.length > 0) {
      const last = whole.events[whole.events.length - 1]?.kv?.modRevision ?? 0;
      // Members replay from `nextRevision`; should one go back further, nothing is handed out twice.
      const first = whole.events[0]?.kv?.modRevision ?? 0;
      if (BigInt(first) < watcher.nextRevision) {
        const { nextRevision } = watcher;
        whole.events = whole.events.filter((it) => BigInt(it.kv?.modRevision ?? 0) >= nextRevision);
        if (whole.events.length === 0) return;
      }
      watcher.nextRevision = BigInt(last) + 1n;
    } else {
      const next = BigInt(whole.header?.revision ?? 0) + 1n;
      if (next > watcher.nextRevision) watcher.nextRevision = next;
    }
    if (!watcher.deliver(whole)) {
      this.#leaveStream(watcher, place);
      this.#parked.add(watcher);
    }
  }
}
