export { EqualityCheck } from "./checks/equality-check.ts";
export { History, type Version, Write } from "./checks/history.ts";
export { LeaseCheck } from "./checks/lease-check.ts";
export { RaftCheck } from "./checks/raft-check.ts";
export {
  checkRegister,
  type RegisterOperation,
  type RegisterVerdict,
} from "./checks/register-check.ts";
export { Violation } from "./checks/violation.ts";
export { type ClusterNode, peerUrlOf, SimCluster, type SimClusterOptions } from "./cluster.ts";
export {
  type CrashMode,
  changingOperations,
  type DiskFaults,
  type DiskOperation,
  DiskPort,
  SimDisk,
} from "./disk.ts";
export { FaultyTransport, type MessageFaults } from "./faulty-transport.ts";
export { SimHost, type SimHostOptions } from "./host.ts";
export { type NetFaults, NetPort, SimNet } from "./net.ts";
export { type NodeSeams, SimNode, type SimNodeOptions } from "./node.ts";
export { type FaultKind, faultKinds, type Plan, type PlanOptions, planOf } from "./swarm/plan.ts";
export { type RunOptions, type RunResult, runSeed } from "./swarm/run-seed.ts";
export { Surgery } from "./swarm/surgery.ts";
export { replayLine, type SwarmOptions, SwarmThreads } from "./swarm/swarm.ts";
export { type Totals, totalsOf } from "./swarm/totals.ts";
export { TransportRelay } from "./transport-relay.ts";
export { DiskWeather, NetWeather, type NetWeatherOptions } from "./weather.ts";
export { Caller, isRefusal } from "./workload/caller.ts";
export { KvClient, type KvWorkload } from "./workload/kv-client.ts";
export { LeaseClient, type LeaseWorkload } from "./workload/lease-client.ts";
export { WatchClient, type WatchWorkload } from "./workload/watch-client.ts";
export { usualWorkload, Workload, type WorkloadOptions } from "./workload/workload.ts";
export { type Event, Gate, World } from "./world.ts";
