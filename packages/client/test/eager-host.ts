// The real host, with timers that are in a hurry to renew leases.

import { nodeHost, silentLog } from "@etcd-ts/node";
import type { ClientHost } from "../src/options.ts";

/** Long enough that no pause of the machine ends a lease. */
export const leaseTtl = 60;

/** Leases of `leaseTtl` are renewed at once in the place of every third of their time; they end when they should. */
export function eagerHost(): ClientHost {
  const host = nodeHost({ log: silentLog });
  return {
    ...host,
    timers: {
      after: (delayMs, fire) =>
        host.timers.after(delayMs === (leaseTtl * 1000) / 3 ? 20 : delayMs, fire),
      soon: (run) => host.timers.soon(run),
    },
  };
}
