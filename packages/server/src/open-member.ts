// Opens what a member stands on: the lock, the backend with the machine on it, the log. In this order,
// because the log must fit to what the machine has applied; and whatever fails, all that was opened before is
// closed again.

import { DiskError, type DiskLock, type Host } from "@etcd-ts/base";
import { type Backend, type Machine, type MachineObserver, openMachine } from "@etcd-ts/machine";
import type { WalObserver, WalOptions } from "@etcd-ts/storage";
import { backendFolder, prepareFolders, StartError, stockDatabase } from "./bootstrap.ts";
import { invalidDowngrade } from "./cluster-version.ts";
import {
  type MemberConfig,
  type MemberOptions,
  normalizeConfig,
  warnQuotaBytes,
} from "./config.ts";
import { checkInitialHash } from "./corruption/check.ts";
import { doublingBounds, Histogram } from "./metric-types.ts";
import { ObserverHub } from "./observer-hub.ts";
import { type OpenedLog, openLog } from "./open-log.ts";
import type { PeerRequests } from "./peers/index.ts";
import { Quota } from "./quota.ts";

export interface OpenSetup {
  readonly host: Host;
  readonly options: MemberOptions;
  openBackend(folder: string): Promise<Backend>;
  readonly transport?: unknown;
  readonly requests?: PeerRequests;
}

export interface OpenedMember extends OpenedLog {
  readonly config: MemberConfig;
  readonly lock: DiskLock;
  readonly backend: Backend;
  readonly machine: Machine;
  readonly quota: Quota;
  readonly walTimes: WalTimes;
  readonly observers: MachineObserver[];
}

export async function openMember(setup: OpenSetup): Promise<OpenedMember> {
  const { host } = setup;
  const config = normalizeConfig(setup.options);
  await host.disk.makeDirectory(`${config.dataDir}/member`);
  const lock = await takeLock(host, config);
  const undo: (() => Promise<void>)[] = [() => lock.release()];
  try {
    const hasLog = await prepareFolders(host.disk, config);
    host.log.info(
      hasLog ? "server has already been initialized" : "Initialize and start etcd server",
      { "data-dir": config.dataDir, "wal-dir": config.walDir },
    );
    await refuseForeign(host, config);
    const pause = () => new Promise<void>((resolve) => host.timers.soon(resolve));
    const backend = await setup.openBackend(backendFolder(config));
    undo.push(() => backend.close());
    const quota = new Quota(backend, config.quotaBackendBytes);
    warnQuota(host, config);
    const observers = new ObserverHub();
    const machine = await openMachine(
      {
        backend,
        observer: observers,
        hasSpace: (costBytes) => quota.admits(costBytes),
        leaseTtlSecondsMin: leaseTtlSecondsMin(config),
        learnersMax: config.maxLearners,
      },
      pause,
    );
    refuseAuth(machine, config);
    if (!hasLog && machine.appliedIndex > 0) {
      throw new StartError(
        `there is no log in ${config.walDir}, but the database (${backendFolder(config)}) has applied ` +
          `index ${machine.appliedIndex}: the log is lost`,
      );
    }
    const walTimes = new WalTimes();
    const walOptions: WalOptions = {
      // What lies behind the last snapshot is never read again, and reading it would only delay the start.
      segmentsKept: config.maxWals === 0 ? 0 : 1,
      observer: walTimes,
      ...(config.walSegmentBytes === 0 ? {} : { segmentBytes: config.walSegmentBytes }),
    };
    const { requests } = setup;
    const opened = await openLog({ host, config, backend, machine, walOptions, requests }, hasLog);
    undo.push(() => opened.wal.close());
    refuseAuth(machine, config);
    if ((opened.founding?.peers.length ?? 1) > 1 && setup.transport === undefined) {
      throw new StartError("a cluster of more than one member needs links to its peers");
    }
    const tooOld = invalidDowngrade(machine.members.clusterVersion);
    if (tooOld !== undefined) throw new StartError(tooOld);
    if (config.initialCorruptCheck) {
      const { memberId, clusterId } = opened;
      await checkInitialHash({ host, machine, requests, memberId, clusterId });
    }
    return {
      ...opened,
      config,
      lock,
      backend,
      machine,
      quota,
      walTimes,
      observers: observers.targets,
    };
  } catch (error) {
    for (const close of undo.reverse()) await close();
    throw error;
  }
}

/** Closes everything in good order. The log comes first: what the backend holds must be in it. */
export async function closeMember(opened: OpenedMember): Promise<void> {
  await opened.wal.close();
  await opened.backend.close();
  await opened.lock.release();
}

/** How long the log's syncs take. */
export class WalTimes implements WalObserver {
  readonly syncSeconds: Histogram = new Histogram(doublingBounds(0.001, 14));

  synced(durationMs: number): void {
    this.syncSeconds.observe(durationMs / 1000);
  }
}

/** Keeps a second process out of the data directory. */
async function takeLock(host: Host, config: MemberConfig): Promise<DiskLock> {
  const path = `${config.dataDir}/member/lock`;
  try {
    return await host.disk.lock(path);
  } catch (error) {
    if (!(error instanceof DiskError && error.code === "locked")) throw error;
    throw new StartError(`the data directory ${config.dataDir} is in use by another process`, {
      cause: error,
    });
  }
}

/**
 * A data directory of stock etcd has its state in a file of another format. Beside a store of ours such a
 * file is what a stock server made that was started here by mistake: it is not looked at, and whether that
 * server has gone on with the log shows when the log is opened.
 */
async function refuseForeign(host: Host, config: MemberConfig): Promise<void> {
  const stock = stockDatabase(config);
  if ((await host.disk.stat(stock)) === undefined) return;
  if ((await host.disk.stat(backendFolder(config))) === undefined) {
    throw new StartError(
      `the data directory ${config.dataDir} was written by another implementation of etcd (${stock}), ` +
        "which cannot be opened in place: let this member join its cluster with an empty data " +
        "directory (`etcdctl member add`), or save a snapshot from it (`etcdctl snapshot save`) and " +
        "restore that into a new directory (`etcdutl snapshot restore`)",
    );
  }
  host.log.warn("ignoring a database of another implementation of etcd; it may be removed", {
    path: stock,
    "own-store": backendFolder(config),
  });
}

function refuseAuth(machine: Machine, config: MemberConfig): void {
  if (!machine.authEnabled) return;
  throw new StartError(
    `authentication is enabled in the data directory ${config.dataDir}, and this version does not ` +
      "serve authentication: serving the data to everybody would be worse than not serving it. " +
      "Disable it on a member that serves it (`etcdctl auth disable`), or go on with a version that does",
  );
}

function warnQuota(host: Host, config: MemberConfig): void {
  if (config.quotaBackendBytes < 0) {
    host.log.info("disabled backend quota", {
      "quota-name": "v3-applier",
      "quota-size-bytes": config.quotaBackendBytes,
    });
  } else if (config.quotaBackendBytes > warnQuotaBytes) {
    host.log.warn("quota exceeds the maximum value", {
      "quota-name": "v3-applier",
      "quota-size-bytes": config.quotaBackendBytes,
      "quota-maximum-size-bytes": warnQuotaBytes,
    });
  }
}

/** Leases must outlive an election: one and a half times its timeout. */
function leaseTtlSecondsMin(config: MemberConfig): number {
  const ticks = Math.floor((3 * config.electionTicks) / 2);
  return Math.ceil((ticks * config.heartbeatMs) / 1000);
}
