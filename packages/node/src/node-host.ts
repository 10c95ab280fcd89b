import type { Host } from "@etcd-ts/base";
import { nodeClock, nodeRandom, nodeTimers } from "./clock.ts";
import { nodeDigests } from "./digests.ts";
import { nodeDisk } from "./disk.ts";
import { type NodeLog, nodeLog } from "./log.ts";
import { type NodeNet, nodeNet } from "./net.ts";

/** The `Host` of a process, with what only the real one can do. */
export interface NodeHost extends Host {
  readonly net: NodeNet;
  readonly log: NodeLog;
}

export interface NodeHostOptions {
  /** Standard error in JSON when absent. */
  readonly log?: NodeLog;
}

export function nodeHost(options: NodeHostOptions = {}): NodeHost {
  return {
    clock: nodeClock,
    timers: nodeTimers(),
    random: nodeRandom(),
    disk: nodeDisk(),
    net: nodeNet(),
    digests: nodeDigests,
    log: options.log ?? nodeLog(),
  };
}
