export {
  type CrashMode,
  changingOperations,
  type DiskFaults,
  type DiskOperation,
  DiskPort,
  SimDisk,
} from "./disk.ts";
export { SimHost, type SimHostOptions } from "./host.ts";
export { type NetFaults, NetPort, SimNet } from "./net.ts";
export { SimNode, type SimNodeOptions } from "./node.ts";
export { type Event, World } from "./world.ts";
