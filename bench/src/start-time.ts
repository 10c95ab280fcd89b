import type { Programs } from "@etcd-ts/conformance";
import { startForBench } from "./server.ts";

/** Milliseconds from the start of the process to its readiness, on an empty directory. */
export async function measureStart(programs: Programs): Promise<number> {
  const startMs = performance.now();
  const server = await startForBench(programs);
  const tookMs = performance.now() - startMs;
  await server.stop();
  return tookMs;
}
