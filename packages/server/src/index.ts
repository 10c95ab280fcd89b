export { createCompactionPart, type Retention } from "./auto-compaction.ts";
export { BackendCommits } from "./backend-commits.ts";
export { backendFolder, StartError } from "./bootstrap.ts";
export {
  type InitialMember,
  type MemberConfig,
  type MemberOptions,
  normalizeConfig,
} from "./config.ts";
export { CallGate } from "./gate.ts";
export {
  getOnly,
  type HealthSource,
  type HttpAnswer,
  HttpEndpoints,
  type HttpRequest,
} from "./http-endpoints.ts";
export { clusterIdOf, hexId, memberIdOf, RequestIds } from "./ids.ts";
export { createLeasePart } from "./lease/part.ts";
export { Member, type MemberSetup } from "./member.ts";
export {
  type EmitMetric,
  Histogram,
  type MetricFamily,
  type MetricType,
} from "./metric-types.ts";
export { counter, gauge } from "./metrics/families.ts";
export { memberMetrics } from "./metrics/member-metrics.ts";
export { rpcMetrics } from "./metrics/rpc-families.ts";
export { NoPeers, type PeerTransport } from "./peer-transport.ts";
export {
  type PeerAnswers,
  PeerLinks,
  type PeerLinksOptions,
  PeerRequests,
  type PeerSeams,
} from "./peers/index.ts";
export { Proposal } from "./proposals.ts";
export { Reader } from "./reads.ts";
export type { Refusal } from "./refusals.ts";
export { RequestStats } from "./request-stats.ts";
export {
  type ImportOptions,
  importDatabase,
  inspectDatabase,
} from "./restore/import-database.ts";
export {
  type RestoreOptions,
  type RestoreSetup,
  restoreSnapshot,
} from "./restore/restore-snapshot.ts";
export { RestoreError } from "./restore/restored-members.ts";
export type { MemberContext, MemberPart } from "./seams.ts";
export { Slicer } from "./slicer.ts";
export { createWatchPart } from "./watch/part.ts";
