export { Client, type TxnOptions } from "./client.ts";
export { Election, observeElection } from "./election.ts";
export { type Endpoint, EndpointError, parseEndpoint } from "./endpoint.ts";
export { CompactedError, rpcErrorText } from "./errors.ts";
export { type BytesInput, type KeySelection, prefixEnd, selectKeys, toBytes } from "./keys.ts";
export type { KeepAlive, KeepAliveOptions } from "./lease-keeper.ts";
export { type Method, methods } from "./methods.ts";
export { Mutex, SessionLostError, type WaitOptions } from "./mutex.ts";
export type {
  AbortSignalLike,
  CallOptions,
  ClientHost,
  ClientOptions,
  ClientTlsOptions,
} from "./options.ts";
export {
  AuthService,
  ClusterService,
  KvService,
  LeaseService,
  MaintenanceService,
  mergeRange,
} from "./services.ts";
export { Session, type SessionOptions } from "./session.ts";
export {
  compare,
  type DeleteExtras,
  op,
  type PutExtras,
  type RangeExtras,
  type Relation,
  type TxnParts,
} from "./txn.ts";
export { Watch, type WatchExtras, type WatchOptions } from "./watch.ts";
