export { importBolt, saveBoltFile } from "./bolt-import.ts";
export { BoltFile, type VisitPair } from "./bolt-reader.ts";
export { type BoltSink, writeBoltFile } from "./bolt-writer.ts";
export { DurableCell, MemoryBackend, type MemoryBackendOptions } from "./memory-backend.ts";
export {
  listSnapFiles,
  loadNewestSnapFile,
  purgeSnapFiles,
  readSnapFile,
  type SnapFileName,
  type SnapMark,
  snapFileName,
  writeSnapFile,
} from "./snap-file.ts";
export { hashDatabase, readSnapshotTrailer, type SnapshotTrailer } from "./snapshot-file.ts";
export { Wal, type WalOpened } from "./wal.ts";
export {
  listWalSegments,
  readWal,
  type WalContent,
  type WalMetadata,
  type WalReadOptions,
  type WalSnapshotPoint,
} from "./wal-log-reader.ts";
export type { WalSegment } from "./wal-names.ts";
export type { WalDone, WalHost, WalObserver, WalOptions } from "./wal-options.ts";
