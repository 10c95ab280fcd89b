// `defrag`: makes the data file of a member that does not run as small as what is in it.

import { nodeHost } from "@etcd-ts/node";
import type { CommandLine } from "../shared/command-line.ts";
import { ExitCode, Failure } from "../shared/exit.ts";
import { formatMilliseconds } from "../shared/go-duration.ts";
import { humanBytes } from "../shared/humanize.ts";
import type { Output } from "../shared/output.ts";
import { ConsoleLog } from "./console-log.ts";
import { foreignReason, openStore } from "./offline-store.ts";

export async function run(line: CommandLine, output: Output): Promise<number> {
  const dataDir = line.flags.string("data-dir");
  const foreign = foreignReason(dataDir);
  if (foreign !== undefined) {
    throw new Failure(ExitCode.error, `Failed to defragment etcd data[${dataDir}] (${foreign})`);
  }
  const host = nodeHost();
  const log = new ConsoleLog(output, host.clock, "etcdutl/defrag");
  const startMs = host.clock.monotonicMs();
  const store = await openStore(host, dataDir, line.flags.milliseconds("timeout"));
  try {
    const { backend, path } = store;
    const before = backend.size();
    log.info("defragmenting", {
      path,
      "current-db-size-bytes": before.allocatedBytes,
      "current-db-size": humanBytes(before.allocatedBytes),
      "current-db-size-in-use-bytes": before.inUseBytes,
      "current-db-size-in-use": humanBytes(before.inUseBytes),
    });
    try {
      await backend.defragment();
    } catch (error) {
      const reason = error instanceof Error ? error.message : String(error);
      const message = `Failed to defragment etcd data[${dataDir}] (${reason})`;
      throw new Failure(ExitCode.error, message, { cause: error });
    }
    const after = backend.size();
    log.info("finished defragmenting directory", {
      path,
      "current-db-size-bytes-diff": after.allocatedBytes - before.allocatedBytes,
      "current-db-size-bytes": after.allocatedBytes,
      "current-db-size": humanBytes(after.allocatedBytes),
      "current-db-size-in-use-bytes-diff": after.inUseBytes - before.inUseBytes,
      "current-db-size-in-use-bytes": after.inUseBytes,
      "current-db-size-in-use": humanBytes(after.inUseBytes),
      took: formatMilliseconds(host.clock.monotonicMs() - startMs),
    });
  } finally {
    await store.close();
  }
  return ExitCode.success;
}
