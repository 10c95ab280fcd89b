export { LmdbBackend, type LmdbBackendOptions } from "./lmdb-backend.ts";
