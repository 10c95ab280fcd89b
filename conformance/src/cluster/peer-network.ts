// The network between the members: one TCP proxy before each member's peer listener, whose address is the
// one that the member advertises. Every connection has two flows of bytes, one from the dialling member to
// the dialled one and one back, and each flow can be stopped, delayed or cut by who sends to whom.
//
//     m1 ──dials──▶ proxy of m2 ──▶ m2        flow m1→m2: requests      flow m2→m1: answers
//
// Messages of raft travel both in requests and in answers (the receiver of a stream dials it), so a link
// that is blocked one way is blocked for bytes, not for connections: m1's messages to m2 stop wherever they
// travel, those of m2 to m1 arrive. Blocked bytes wait, as unacknowledged TCP segments do, and arrive after
// healing if the connection still lives; a cut destroys connections and refuses new ones.
//
// Who dials is read from the `X-Server-From` header of the first requests. Connections that never say so
// (probes, member lists) count as from nobody, and are held up only when the dialled member is isolated.

import { createConnection, createServer, type Server, type Socket } from "node:net";

interface Policy {
  blocked: boolean;
  cut: boolean;
  delayMs: number;
}

const open: Policy = { blocked: false, cut: false, delayMs: 0 };
const nobody = "*";
const fromHeader = /\r\nx-server-from: ([0-9a-f]+)\r\n/i;

export class PeerNetwork {
  readonly #proxies = new Map<string, MemberProxy>();
  /** Key: `from>to`. */
  readonly #policies = new Map<string, Policy>();
  /** Member ids in hexadecimal to names. */
  readonly #names = new Map<string, string>();

  /** Opens the proxy of a member; gives the URL that the others are to dial. */
  async add(name: string, port: number, peerPort: number): Promise<string> {
    const proxy = new MemberProxy(this, name, peerPort);
    await proxy.listen(port);
    this.#proxies.set(name, proxy);
    return `http://127.0.0.1:${port}`;
  }

  /** Connections say ids; rules are about names. */
  learn(id: bigint, name: string): void {
    this.#names.set(id.toString(16), name);
  }

  nameOf(id: string | undefined): string {
    return (id === undefined ? undefined : this.#names.get(id)) ?? nobody;
  }

  policy(from: string, to: string): Policy {
    return this.#policies.get(`${from}>${to}`) ?? open;
  }

  /** Destroys the connections between two members and refuses new ones. */
  cut(a: string, b: string): void {
    this.#set(a, b, { cut: true });
    this.#set(b, a, { cut: true });
    this.#apply();
  }

  /** Cuts a member off from all others. */
  isolate(name: string): void {
    for (const other of this.#others(name)) this.cut(name, other);
    this.#set(nobody, name, { cut: true });
    this.#apply();
  }

  /** Bytes from one to the other do not arrive any more; the other direction goes on. */
  blockOneWay(from: string, to: string): void {
    this.#set(from, to, { blocked: true });
  }

  /** Bytes take so much longer, in each direction. */
  delay(a: string, b: string, delayMs: number): void {
    this.#set(a, b, { delayMs });
    this.#set(b, a, { delayMs });
  }

  /** Everything arrives again, what was held back first. */
  heal(): void {
    this.#policies.clear();
    this.#apply();
  }

  async close(): Promise<void> {
    for (const proxy of this.#proxies.values()) await proxy.close();
  }

  #others(name: string): string[] {
    return [...this.#proxies.keys()].filter((it) => it !== name);
  }

  #set(from: string, to: string, change: Partial<Policy>): void {
    this.#policies.set(`${from}>${to}`, { ...this.policy(from, to), ...change });
  }

  #apply(): void {
    for (const proxy of this.#proxies.values()) proxy.applyPolicies();
  }
}

class MemberProxy {
  readonly network: PeerNetwork;
  readonly name: string;
  readonly #peerPort: number;
  readonly #server: Server;
  readonly #connections = new Set<Connection>();

  constructor(network: PeerNetwork, name: string, peerPort: number) {
    this.network = network;
    this.name = name;
    this.#peerPort = peerPort;
    this.#server = createServer({ allowHalfOpen: true, noDelay: true }, (socket) => {
      const target = createConnection({
        host: "127.0.0.1",
        port: this.#peerPort,
        allowHalfOpen: true,
        noDelay: true,
      });
      const connection = new Connection(this, socket, target, () => {
        this.#connections.delete(connection);
      });
      this.#connections.add(connection);
    });
  }

  listen(port: number): Promise<void> {
    return new Promise((resolve, reject) => {
      this.#server.once("error", reject);
      this.#server.listen(port, "127.0.0.1", resolve);
    });
  }

  applyPolicies(): void {
    for (const connection of this.#connections) connection.applyPolicies();
  }

  close(): Promise<void> {
    for (const connection of this.#connections) connection.destroy();
    return new Promise((resolve) => this.#server.close(() => resolve()));
  }
}

class Connection {
  readonly #proxy: MemberProxy;
  readonly #requests: Flow;
  readonly #answers: Flow;
  readonly #sockets: readonly [Socket, Socket];
  readonly #onGone: () => void;
  /** The dialling member's id, once it said so. */
  #from: string | undefined;

  constructor(proxy: MemberProxy, client: Socket, target: Socket, onGone: () => void) {
    this.#proxy = proxy;
    this.#sockets = [client, target];
    this.#onGone = onGone;
    const { network, name } = proxy;
    this.#requests = new Flow(client, target, () =>
      network.policy(network.nameOf(this.#from), name),
    );
    this.#answers = new Flow(target, client, () =>
      network.policy(name, network.nameOf(this.#from)),
    );
    client.on("data", (chunk: Buffer) => {
      if (this.#from === undefined) {
        this.#from = fromHeader.exec(chunk.toString("latin1"))?.[1];
        this.applyPolicies();
      }
      this.#requests.take(chunk);
    });
    target.on("data", (chunk: Buffer) => this.#answers.take(chunk));
    client.on("end", () => this.#requests.take("end"));
    target.on("end", () => this.#answers.take("end"));
    for (const socket of this.#sockets) {
      // An error is followed by a close, which is all that the other side is to learn.
      socket.on("error", () => {});
      socket.on("close", () => this.#closed(socket));
    }
  }

  applyPolicies(): void {
    const { network, name } = this.#proxy;
    const from = network.nameOf(this.#from);
    if (network.policy(from, name).cut || network.policy(name, from).cut) this.destroy();
    else {
      this.#requests.pump();
      this.#answers.pump();
    }
  }

  destroy(): void {
    for (const socket of this.#sockets) socket.destroy();
    this.#requests.drop();
    this.#answers.drop();
    this.#onGone();
  }

  /** The end of one side reaches the other behind all bytes before it. */
  #closed(socket: Socket): void {
    const flow = socket === this.#sockets[0] ? this.#requests : this.#answers;
    flow.take("close");
    if (this.#sockets.every((it) => it.destroyed)) this.destroy();
  }
}

type Piece = Buffer | "end" | "close";

/** Bytes of one direction, in order, as the rule of the moment lets them pass. */
class Flow {
  readonly #from: Socket;
  readonly #to: Socket;
  readonly #policy: () => Policy;
  readonly #queue: { readonly piece: Piece; readonly dueMs: number }[] = [];
  #timer: NodeJS.Timeout | undefined;
  #draining = false;

  constructor(from: Socket, to: Socket, policy: () => Policy) {
    this.#from = from;
    this.#to = to;
    this.#policy = policy;
  }

  take(piece: Piece): void {
    const { delayMs } = this.#policy();
    this.#queue.push({ piece, dueMs: delayMs === 0 ? 0 : performance.now() + delayMs });
    this.pump();
  }

  pump(): void {
    clearTimeout(this.#timer);
    this.#timer = undefined;
    while (!this.#draining) {
      const next = this.#queue[0];
      if (next === undefined) break;
      if (this.#policy().blocked) break;
      const waitMs = next.dueMs === 0 ? 0 : next.dueMs - performance.now();
      if (waitMs > 0) {
        this.#timer = setTimeout(() => this.pump(), waitMs);
        break;
      }
      this.#queue.shift();
      this.#pass(next.piece);
    }
    // A delayed link carries as much as a fast one; a blocked one fills up like a window of TCP.
    const full = this.#draining || (this.#policy().blocked && this.#queue.length > 0);
    if (full) this.#from.pause();
    else this.#from.resume();
  }

  drop(): void {
    clearTimeout(this.#timer);
    this.#queue.length = 0;
  }

  #pass(piece: Piece): void {
    if (piece === "close") this.#to.destroy();
    else if (piece === "end") this.#to.end();
    else if (!this.#to.destroyed && this.#to.writable && !this.#to.write(piece)) {
      this.#draining = true;
      this.#to.once("drain", () => {
        this.#draining = false;
        this.pump();
      });
    }
  }
}
