export {
  type CertificateOptions,
  type IssuedCertificate,
  issueCertificate,
  selfSignedCertificate,
} from "./certificate.ts";
export { knownCipherSuite } from "./cipher-suites.ts";
export { tuneEngine } from "./engine.ts";
export { gzip } from "./gzip.ts";
export { HeldConnection } from "./held-connection.ts";
export { type Http1Handler, type Http1Options, type Http1Server, serveHttp1 } from "./http1.ts";
export {
  type LogFormat,
  type LogLevel,
  type LogOptions,
  type LogOutput,
  logLevels,
  logTime,
  type NodeLog,
  nodeLog,
  silentLog,
  writeLine,
} from "./log.ts";
export {
  canReusePort,
  hostPort,
  type NodeDialOptions,
  type NodeListenOptions,
  type NodeNet,
} from "./net.ts";
export { type NodeHost, type NodeHostOptions, nodeHost } from "./node-host.ts";
export { revokedSerials } from "./revocation-list.ts";
export { diskError, systemCode, systemText } from "./system-errors.ts";
export type { NodeTlsServerOptions } from "./tls.ts";
