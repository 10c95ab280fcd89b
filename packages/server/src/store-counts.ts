// What was done to the store since the start, for the metrics.

import { EventType, type KvEvent, type MachineObserver } from "@etcd-ts/machine";
import { doublingBounds, Histogram } from "./metric-types.ts";

export class StoreCounts implements MachineObserver {
  puts = 0;
  deletes = 0;
  /** Revisions with more than one change. */
  txns = 0;
  readonly hashSeconds: Histogram = new Histogram(doublingBounds(0.01, 15));
  readonly hashKvSeconds: Histogram = new Histogram(doublingBounds(0.01, 15));
  readonly defragSeconds: Histogram = new Histogram(doublingBounds(0.1, 13));
  isDefragmenting = false;
  leasesGranted = 0;
  leasesRevoked = 0;
  readonly leaseTtlSeconds: Histogram = new Histogram(doublingBounds(1, 24));

  leaseGranted(_id: bigint, ttlSeconds: number): void {
    this.leasesGranted++;
    this.leaseTtlSeconds.observe(ttlSeconds);
  }

  leaseRevoked(_id: bigint): void {
    this.leasesRevoked++;
  }

  changed(_revision: number, events: KvEvent[]): void {
    if (events.length > 1) this.txns++;
    for (let i = 0; i < events.length; i++) {
      if (events[i]!.type === EventType.put) this.puts++;
      else this.deletes++;
    }
  }
}
