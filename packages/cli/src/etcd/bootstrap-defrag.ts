// `--bootstrap-defrag-threshold-megabytes`: a database with much free space in it is made smaller before the
// member takes part in anything.

import type { Host } from "@etcd-ts/base";
import type { Backend } from "@etcd-ts/machine";

const megabyte = 1024 * 1024;

/** 0 megabytes: never. Rejects with what the backend rejects with. */
export async function defragmentAtStart(
  backend: Backend,
  thresholdMegabytes: number,
  { clock, log }: Pick<Host, "clock" | "log">,
): Promise<void> {
  if (thresholdMegabytes === 0) return;
  const { allocatedBytes, inUseBytes } = backend.size();
  const freeableBytes = allocatedBytes - inUseBytes;
  const thresholdBytes = thresholdMegabytes * megabyte;
  const sizes = {
    "current-db-size-bytes": allocatedBytes,
    "current-db-size-in-use-bytes": inUseBytes,
    "bootstrap-defrag-threshold-bytes": thresholdBytes,
  };
  if (freeableBytes < thresholdBytes) {
    log.info("Skipping defragmentation", sizes);
    return;
  }
  const startMs = clock.monotonicMs();
  log.info("defragmenting", sizes);
  await backend.defragment();
  log.info("finished defragmenting", {
    "current-db-size-bytes": backend.size().allocatedBytes,
    took: `${Math.round(clock.monotonicMs() - startMs)}ms`,
  });
}
