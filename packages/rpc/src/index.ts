export type { CallWork } from "./answer-room.ts";
export { Channel } from "./channel.ts";
export type {
  CallOptions,
  CancelSignal,
  ChannelOptions,
  ChannelState,
  ClientKeepalive,
  ClientStream,
  ClientStreamHandler,
  UnaryHandler,
} from "./client-types.ts";
export { type CallType, MethodStats, TransportCounters } from "./counters.ts";
export { connectText } from "./dial-error.ts";
export { RpcServer } from "./server.ts";
export type {
  RpcHost,
  RpcServerObserver,
  RpcServerOptions,
  ServedAddress,
  ServeOptions,
  ServerKeepalive,
  ServerLimits,
} from "./server-options.ts";
export type {
  FinalStatus,
  GzipCodec,
  HttpExchange,
  HttpHandler,
  Lane,
  Method,
  MethodTable,
  ServerCall,
  StreamHandler,
  StreamMethod,
  UnaryMethod,
} from "./server-types.ts";
export {
  decodeGrpcMessage,
  encodeGrpcMessage,
  type Metadata,
  RpcError,
  Status,
  statusNames,
} from "./status.ts";
