// Between a member and its links: raft messages that get lost, come twice or come late. The network of the
// world keeps the order of a stream and loses nothing in it, as TCP does; raft must live with worse.
//
// A snapshot is only ever lost as a whole, and the sender is told so, as the links do. A forwarded proposal never
// comes twice: raft does not promise to tell the two apart, and streams do not double anything.

import type { Host } from "@etcd-ts/base";
import { type Message, MessageType } from "@etcd-ts/raft";
import type { PeerTransport } from "@etcd-ts/server";
import { TransportRelay } from "./transport-relay.ts";
import type { World } from "./world.ts";

/** Shared by all members of a cluster; may change at any time. */
export interface MessageFaults {
  dropPerMille: number;
  doublePerMille: number;
  delayPerMille: number;
}

const delayMsMax = 400;
const single: ReadonlySet<number> = new Set<number>([MessageType.MsgSnap, MessageType.MsgProp]);

export class FaultyTransport extends TransportRelay {
  readonly #world: World;
  readonly #host: Host;
  readonly #faults: MessageFaults;

  constructor(inner: PeerTransport, world: World, host: Host, faults: MessageFaults) {
    super(inner);
    this.#world = world;
    this.#host = host;
    this.#faults = faults;
  }

  override send(message: Message): void {
    const { dropPerMille, doublePerMille, delayPerMille } = this.#faults;
    if (dropPerMille + doublePerMille + delayPerMille === 0) {
      this.inner.send(message);
      return;
    }
    const dice = this.#world.random.below(1000);
    if (dice < dropPerMille) this.#drop(message);
    else if (dice < dropPerMille + doublePerMille) {
      this.inner.send(message);
      if (!single.has(message.type)) this.#later(message);
    } else if (dice < dropPerMille + doublePerMille + delayPerMille) this.#later(message);
    else this.inner.send(message);
  }

  #drop(message: Message): void {
    if (message.type !== MessageType.MsgSnap) return;
    this.#host.timers.soon(() => {
      if (!this.isStopped) this.seams?.reportSnapshot(message.to, false);
    });
  }

  #later(message: Message): void {
    this.#host.timers.after(this.#world.random.below(delayMsMax), () => {
      if (!this.isStopped) this.inner.send(message);
    });
  }
}
