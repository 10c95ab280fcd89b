export { noStockReason, ours, type Programs, stockFrom, stockReleases } from "./programs.ts";
export { RawClient, RawError, type RawStream } from "./raw-client.ts";
export { type ServerOptions, ServerProcess } from "./server-process.ts";
