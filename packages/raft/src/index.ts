export type { AnyConfChange } from "./conf-change-entry.ts";
export { decodeConfChangeEntry, isConfChangeEntry, toV2 } from "./conf-change-entry.ts";
export { type RaftConfig, RaftConfigError, type ReadMode } from "./config.ts";
export { Configuration } from "./configuration.ts";
export { type ReadState, Role, roleNames } from "./core.ts";
export {
  type DataFormatter,
  describeConfState,
  describeEntries,
  describeEntry,
  describeHardState,
  describeMessage,
  describeReady,
  describeSnapshot,
  describeSoftState,
} from "./describe.ts";
export { encodedSize } from "./entry-size.ts";
export {
  ConfChange,
  ConfChangeSingle,
  ConfChangeTransition,
  ConfChangeType,
  ConfChangeV2,
  ConfState,
  confChangeTransitionNames,
  confChangeTypeNames,
  decodeConfChange,
  decodeConfChangeSingle,
  decodeConfChangeV2,
  decodeConfState,
  decodeEntry,
  decodeHardState,
  decodeMessage,
  decodeSnapshot,
  decodeSnapshotMetadata,
  Entry,
  EntryType,
  encodeConfChange,
  encodeConfChangeSingle,
  encodeConfChangeV2,
  encodeConfState,
  encodeEntry,
  encodeHardState,
  encodeMessage,
  encodeSnapshot,
  encodeSnapshotMetadata,
  entryTypeNames,
  HardState,
  Message,
  MessageType,
  messageTypeNames,
  Snapshot,
  SnapshotMetadata,
  sizeConfChange,
  sizeConfChangeSingle,
  sizeConfChangeV2,
  sizeConfState,
  sizeEntry,
  sizeHardState,
  sizeMessage,
  sizeSnapshot,
  sizeSnapshotMetadata,
  writeConfChange,
  writeConfChangeSingle,
  writeConfChangeV2,
  writeConfState,
  writeEntry,
  writeHardState,
  writeMessage,
  writeSnapshot,
  writeSnapshotMetadata,
} from "./gen/raftpb.ts";
export { appendThread, applyThread, isStorageThread, noNode } from "./ids.ts";
export type { LogGap, LogReader } from "./log-reader.ts";
export { LogLevel, type RaftLogger, silentLogger } from "./logger.ts";
export { MemoryLog } from "./memory-log.ts";
export { ProgressState } from "./progress.ts";
export { type BootstrapPeer, RawNode } from "./raw-node.ts";
export type { Ready, SoftState } from "./ready.ts";
export type { BasicStatus, ProgressStatus, Status } from "./status.ts";
export { type StepResult, stepResultText } from "./step-result.ts";
