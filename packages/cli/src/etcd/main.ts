// The `etcd` command. The process that was started is the server: no child, no worker around it.

import { readFileSync } from "node:fs";
import { type NodeLog, nodeHost, nodeLog, tuneEngine } from "@etcd-ts/node";
import { toolVersion } from "../shared/version.ts";
import type { ParsedConfig } from "./config.ts";
import { inspectDataDir } from "./data-dir.ts";
import { notifyServiceManager } from "./notify.ts";
import { openFileLimit, reservedFileCount } from "./open-files.ts";
import { settleDefaults } from "./settle.ts";
import { decideStart } from "./start.ts";
import { goArchitecture, isSupportedArchitecture } from "./start-line.ts";
import { sentence } from "./unsupported.ts";

/** Go's names of the signals, for the log. */
const signalNames = { SIGINT: "interrupt", SIGTERM: "terminated" } as const;

export async function main(): Promise<void> {
  tuneEngine();
  // As Go's os.Args: what was called, then the arguments.
  const args = ["etcd", ...process.argv.slice(2)];
  const environment: Record<string, string | undefined> = { ...process.env };
  const early = nodeLog();
  process.on("uncaughtException", (error) => {
    early.fatal("uncaught exception", { error });
    process.exit(2);
  });
  const architecture = environment["ETCD_UNSUPPORTED_ARCH"];
  delete environment["ETCD_UNSUPPORTED_ARCH"];
  if (!isSupportedArchitecture() && architecture !== goArchitecture()) {
    early.error(
      "refusing to run etcd on unsupported architecture since ETCD_UNSUPPORTED_ARCH is not set",
      {
        arch: goArchitecture(),
      },
    );
    process.exit(1);
  }
  if (args[1] === "gateway" || args[1] === "grpc-proxy") {
    process.stderr.write(`${sentence(`etcd ${args[1]}`)}\n`);
    process.exit(1);
  }
  if (environment["ETCD_VERSION"] !== undefined) {
    early.warn("ignoring the environment variable ETCD_VERSION");
    delete environment["ETCD_VERSION"];
  }
  const decision = await decideStart(args, environment);
  switch (decision.kind) {
    case "help": {
      const { flagReference, usageText } = await import("./help.ts");
      process.stderr.write(usageText());
      process.stdout.write(flagReference());
      return;
    }
    case "version":
      process.stdout.write(versionText());
      return;
    case "usage": {
      const { usageText } = await import("./help.ts");
      process.stderr.write(`${decision.message}\n${usageText()}`);
      process.exit(2);
      break;
    }
    case "bare":
      process.stderr.write(`${decision.message}\n`);
      process.exit(decision.exitCode);
      break;
    case "refused":
      process.exit(1);
      break;
    case "start":
      await run(decision.parsed, decision.log, environment);
      break;
    default:
      decision satisfies never;
  }
}

async function run(
  given: ParsedConfig,
  log: NodeLog,
  environment: Readonly<Record<string, string | undefined>>,
): Promise<void> {
  const parsed = settleDefaults(given, log);
  const fail = (message: string, error: Error): never => {
    // Where a mistake of ours happened matters; where a full disk was noticed does not.
    log.fatal(message, { error: isBug(error) ? error : error.message });
    process.exit(1);
  };
  let hasData: boolean;
  try {
    hasData = inspectDataDir(parsed.config["data-dir"], parsed.config["wal-dir"], log);
  } catch (error) {
    return fail("discovery failed", asError(error));
  }
  const fileLimit = openFileLimit();
  if (fileLimit <= reservedFileCount) {
    log.fatal("file descriptor limit of etcd process is too low; please set higher", {
      limit: fileLimit,
      "recommended-limit": reservedFileCount,
    });
    process.exit(1);
  }
  const [{ Daemon }, { LmdbBackend }] = await Promise.all([
    import("./daemon.ts"),
    import("@etcd-ts/lmdb"),
  ]);
  let ending = false;
  const daemon = new Daemon({
    host: nodeHost({ log }),
    parsed,
    ownVersion: ownVersion(),
    hasData,
    openBackend: (folder) => LmdbBackend.open(folder),
    onFailed(what, error) {
      ending = true;
      daemon.abandonSockets();
      fail(`${what} failed`, error);
    },
    onRemoved() {
      log.warn("server error", {
        error: "the member has been permanently removed from the cluster",
      });
      log.warn("data-dir used by this member must be removed", {
        "data-dir": parsed.config["data-dir"],
      });
      end("the member was removed");
    },
  });
  const end = (reason: string): void => {
    ending = true;
    daemon.stop().then(
      () => process.exit(0),
      (error: unknown) => fail(`failed to stop: ${reason}`, asError(error)),
    );
  };
  // As in a Go program. Without this Node opens its debugger at the first and dies of the second.
  process.on("SIGUSR1", () => {}).on("SIGUSR2", () => {});
  for (const signal of ["SIGINT", "SIGTERM"] as const) {
    // Once: a second signal finds the default action and ends the process where it is.
    process.once(signal, () => {
      process.removeAllListeners("SIGINT").removeAllListeners("SIGTERM");
      log.info("received signal; shutting down", { signal: signalNames[signal] });
      end(signal);
    });
  }
  try {
    await daemon.start();
  } catch (error) {
    // A start that a signal or a failure cut short has been accounted for.
    if (ending) return;
    ending = true;
    await daemon.stop();
    return fail("discovery failed", asError(error));
  }
  notifyServiceManager(environment, log);
}

function versionText(): string {
  return [
    `etcd Version: ${toolVersion}`,
    `Git SHA: etcd-ts ${ownVersion()}`,
    `Go Version: Node.js ${process.versions.node}`,
    `Go OS/Arch: ${process.platform}/${goArchitecture()}`,
    "",
  ].join("\n");
}

/** Of this package. */
function ownVersion(): string {
  const manifest = new URL("../../../package.json", import.meta.url);
  return (JSON.parse(readFileSync(manifest, "utf8")) as { version: string }).version;
}

const bugNames: readonly string[] = [
  "Error",
  "InvariantError",
  "RangeError",
  "ReferenceError",
  "SyntaxError",
  "TypeError",
];

function isBug(error: Error): boolean {
  return bugNames.includes(error.name);
}

function asError(error: unknown): Error {
  return error instanceof Error ? error : new Error(String(error));
}
