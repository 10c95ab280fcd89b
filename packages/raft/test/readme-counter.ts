import { SeededRandom } from "@etcd-ts/base";
import {
  decodeConfChangeEntry,
  isConfChangeEntry,
  MemoryLog,
  type Message,
  RawNode,
} from "../src/index.ts";

/** One member of a replicated counter. */
class CounterMember {
  readonly log: MemoryLog = new MemoryLog();
  readonly node: RawNode;
  value = 0;

  constructor(id: bigint, members: readonly bigint[]) {
    this.node = new RawNode({
      id,
      log: this.log,
      random: new SeededRandom(Number(id)),
      electionTicks: 10,
      heartbeatTicks: 1,
      inflightMessagesMax: 256,
      preVote: true,
      checkQuorum: true,
    });
    this.node.bootstrap(members.map((member) => ({ id: member, context: new Uint8Array() })));
  }

  /** False when there is no leader just now: try again later. */
  add(amount: number): boolean {
    return this.node.propose([Uint8Array.of(amount)]) === "ok";
  }

  /** Does what the node wants done, and sends what it has to say. */
  work(send: (message: Message) => void): void {
    while (this.node.hasReady()) {
      const ready = this.node.ready();
      // 1. Make durable. A real member writes to a disk, and syncs when `ready.mustSync`.
      if (ready.snapshot) this.log.applySnapshot(ready.snapshot);
      if (ready.hardState) this.log.setHardState(ready.hardState);
      this.log.append(ready.entries);
      // 2. Send.
      for (const message of ready.messages) send(message);
      // 3. Apply, in order, on every member alike.
      for (const entry of ready.committedEntries) {
        if (isConfChangeEntry(entry)) this.node.applyConfChange(decodeConfChangeEntry(entry)!);
        else if (entry.data.length > 0) this.value += entry.data[0]!;
      }
      // 4. Done.
      this.node.advance();
    }
  }
}

/** Three members count to 42; the values that they have come to. */
export function countTo42(): number[] {
  const ids = [1n, 2n, 3n];
  const members = new Map(ids.map((id) => [id, new CounterMember(id, ids)]));
  let left = 42;
  for (let tick = 0; tick < 100; tick++) {
    for (const member of members.values()) member.node.tick();
    if (left > 0 && members.get(1n)!.add(1)) left -= 1;
    // A network: whatever is sent arrives, in the end.
    for (let busy = true; busy; ) {
      busy = false;
      for (const member of members.values()) {
        member.work((message) => {
          busy = true;
          members.get(message.to)?.node.step(message);
        });
      }
    }
  }
  return [...members.values()].map((member) => member.value);
}
