import { SeededRandom } from "@etcd-ts/base";
import { finish } from "@etcd-ts/machine";
import { Driver } from "./driver.ts";
import { RandomRequests } from "./random-requests.ts";

/** The log of a member that does a bit of everything. */
export function randomLog(seed: number, length: number): Driver {
  const random = new SeededRandom(seed);
  const requests = new RandomRequests(random);
  const d = new Driver();
  for (let i = 0; i < length; i++) {
    const kind = random.below(100);
    const { revision } = d.machine;
    const id = random.pick(requests.leases);
    if (kind < 40) d.apply({ put: requests.put() });
    else if (kind < 55) d.apply({ deleteRange: requests.delete() });
    else if (kind < 75) d.apply({ txn: requests.txn(revision) })?.pending?.cancel();
    else if (kind < 80) d.apply({ leaseGrant: { id, ttl: 10n } });
    else if (kind < 85) d.apply({ leaseRevoke: { id } });
    else if (kind < 90) {
      d.apply({ leaseCheckpoint: { checkpoints: [{ id, remainingTtl: random.below(9) }] } });
    } else if (kind < 94) {
      d.apply({ compaction: { revision: BigInt(random.below(revision + 1)), physical: false } });
    } else if (kind < 96) {
      d.apply({ alarm: { action: random.below(3), memberId: 1n, alarm: random.below(2) } });
    } else if (kind < 98) d.apply({ clusterVersionSet: { ver: random.pick(["3.5.0", "3.7.0"]) } });
    else d.applyData(new Uint8Array(0));
  }
  finish(d.machine.compaction);
  d.commit();
  return d;
}
