export { databasePath, purgeDatabases, purgeDatabasesTo } from "./database-file.ts";
export { PeerLinks, type PeerLinksOptions } from "./peer-links.ts";
export {
  PeerRequestError,
  type PeerRequestOptions,
  PeerRequests,
  type RemoteCluster,
  type RemoteHash,
  type RemoteVersions,
} from "./peer-requests.ts";
export { type PeerUrl, parsePeerUrl } from "./peer-url.ts";
export type {
  DatabaseSink,
  HashFailure,
  LeaseFailure,
  OutgoingSnapshot,
  PeerAnswers,
  PeerHash,
  PeerSeams,
} from "./seams.ts";
