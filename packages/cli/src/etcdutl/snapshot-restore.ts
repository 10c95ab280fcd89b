// `snapshot restore`: a snapshot file becomes the data directory of a member of a new cluster. The work is done in
// `server/src/restore`.

import { CorruptionError, DiskError, type Host } from "@etcd-ts/base";
import { LmdbBackend } from "@etcd-ts/lmdb";
import { nodeHost } from "@etcd-ts/node";
import { RestoreError, restoreSnapshot } from "@etcd-ts/server";
import { parseInitialCluster } from "../etcd/settle.ts";
import { parseUrls, UrlError, urlTexts } from "../etcd/url.ts";
import type { CommandLine } from "../shared/command-line.ts";
import { ExitCode, Failure } from "../shared/exit.ts";
import type { Output } from "../shared/output.ts";
import { ConsoleLog } from "./console-log.ts";

export async function run(line: CommandLine, output: Output): Promise<number> {
  const { flags } = line;
  const [snapshotPath, ...more] = line.words;
  if (snapshotPath === undefined || more.length > 0) {
    throw Failure.badArguments("snapshot restore requires exactly one argument");
  }
  const bumpRevision = flags.int("bump-revision");
  const markCompacted = flags.bool("mark-compacted");
  if (bumpRevision > 0n !== markCompacted) {
    throw Failure.badArguments("--mark-compacted required if --revision-bump > 0");
  }
  const real = nodeHost();
  const host: Host = { ...real, log: new ConsoleLog(output, real.clock, "etcdutl/restore") };
  try {
    const name = flags.string("name");
    await restoreSnapshot({
      host,
      options: {
        snapshotPath,
        name,
        initialAdvertisePeerUrls: urlTexts(parseUrls(flags.string("initial-advertise-peer-urls"))),
        initialCluster: parseInitialCluster(flags.string("initial-cluster")),
        initialClusterToken: flags.string("initial-cluster-token"),
        dataDir: flags.string("data-dir") || `${name}.etcd`,
        walDir: flags.string("wal-dir"),
        skipHashCheck: flags.bool("skip-hash-check"),
        initialMemoryMapBytes: Number(flags.int("initial-memory-map-size")),
        bumpRevision: Number(bumpRevision),
        markCompacted,
      },
      openBackend: (folder) => LmdbBackend.open(folder),
    });
  } catch (error) {
    const isExpected =
      error instanceof RestoreError ||
      error instanceof CorruptionError ||
      error instanceof DiskError ||
      error instanceof UrlError;
    if (!isExpected) throw error;
    throw new Failure(ExitCode.error, error.message, { cause: error });
  }
  return ExitCode.success;
}
