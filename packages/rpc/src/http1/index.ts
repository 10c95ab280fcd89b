export {
  Agent,
  type AgentOptions,
  type ResponseTaker,
  type WholeRequest,
  type WholeResponse,
} from "./agent.ts";
export { BodyDecoder, encodeChunk, type Framing, lastChunk } from "./body.ts";
export {
  ClientConnection,
  type ClientConnectionOptions,
  type ClientRequest,
  type ResponseHandler,
} from "./client-connection.ts";
export { type FieldList, Fields } from "./fields.ts";
export {
  encodeRequestHead,
  encodeResponseHead,
  HeadReader,
  type HttpVersion,
  parseRequestHead,
  parseResponseHead,
  type RequestHead,
  type ResponseHead,
} from "./head.ts";
export { Http1Error } from "./http1-error.ts";
export { IdleTimer } from "./idle-timer.ts";
export { defaultLimits, defaultTimeouts, type Http1Limits, type Http1Timeouts } from "./limits.ts";
export { Http1Server, type Http1ServerOptions } from "./server.ts";
export type { ServerHandler } from "./server-connection.ts";
export { ServerExchange, type ServerExchangeHandler } from "./server-exchange.ts";
