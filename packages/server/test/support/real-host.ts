// A host with the real clock and timers and a disk in memory that answers at once.

import type { Host } from "@etcd-ts/base";
import { SeededRandom } from "@etcd-ts/base";
import { MemoryDisk } from "./memory-disk.ts";
import { digests } from "./world.ts";

export function realHost(): Host {
  const disk = new MemoryDisk();
  disk.discards = true;
  const quiet = { debug() {}, info() {}, warn() {}, error() {}, named: () => quiet };
  return {
    clock: { monotonicMs: () => performance.now(), wallMs: () => Date.now() },
    timers: {
      after: (delayMs, fire) => {
        const timer = setTimeout(fire, delayMs);
        return { cancel: () => clearTimeout(timer) };
      },
      soon: (run) => {
        setImmediate(run);
      },
    },
    random: new SeededRandom(3),
    disk: disk.life(() => true),
    net: {
      listen: () => Promise.reject(new Error("no network")),
      dial: () => {
        throw new Error("no network");
      },
    },
    digests,
    log: quiet,
  };
}
