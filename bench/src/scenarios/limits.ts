// How far the put path is from what this machine could do: puts, then a bare transport (an empty unary call through our rpc server) with the same
// clients, then a bare log (append and fdatasync of as many bytes in as large batches as the puts made). All in one run, one after the other.

import type { ChildProcess } from "node:child_process";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { runClosedLoad } from "../load/closed-loop.ts";
import { puts } from "../load/requests.ts";
import { readMetrics } from "../measure/metrics.ts";
import { type Context, type Figure, type Sample, type Scenario, targetOf } from "../scenario.ts";
import { startChild } from "../servers/children.ts";

const clientCounts = [1, 100, 1000];
const quickClientCounts = [100];

export const limitsScenario: Scenario = {
  name: "limits",
  title: "puts against the limits of this machine",
  oursOnly: true,
  figures: clientCounts.flatMap((clients): Figure[] => {
    const who = `${clients.toLocaleString("en")} client${clients === 1 ? "" : "s"}`;
    return [
      { key: `put${clients}`, label: `${who}: put 256 B`, unit: "/s" },
      { key: `putCpu${clients}`, label: `${who}: CPU of a put`, unit: "µs" },
      { key: `batch${clients}`, label: `${who}: puts to a sync of the log`, unit: "" },
      { key: `transport${clients}`, label: `${who}: bare transport`, unit: "/s" },
      { key: `transportCpu${clients}`, label: `${who}: CPU of an empty call`, unit: "µs" },
      { key: `log${clients}`, label: `${who}: bare log, the same batches`, unit: "/s" },
      { key: `logCpu${clients}`, label: `${who}: CPU of the bare log for a put`, unit: "µs" },
      { key: `share${clients}`, label: `${who}: puts, of the lower limit`, unit: "%" },
    ];
  }),
  goals: [],
  note: "the bare log is written by one thread that waits for each sync; a server can gather the next batch meanwhile",
  run: measureLimits,
};

async function measureLimits(context: Context): Promise<Sample> {
  const sample: Record<string, number> = {};
  for (const clients of context.plan.quick ? quickClientCounts : clientCounts) {
    context.progress(`  ${clients} clients`);
    const put = await measurePuts(context, clients);
    const transport = await measureTransport(context, clients);
    const log = await measureLog(context, Math.max(1, Math.round(put.batchBytes)));
    const logPerSecond = log.batchesPerSecond * put.batch;
    Object.assign(sample, {
      [`put${clients}`]: put.perSecond,
      [`putCpu${clients}`]: put.cpuUs,
      [`batch${clients}`]: put.batch,
      [`transport${clients}`]: transport.perSecond,
      [`transportCpu${clients}`]: transport.cpuUs,
      [`log${clients}`]: logPerSecond,
      [`logCpu${clients}`]: log.cpuUsPerBatch / put.batch,
      [`share${clients}`]: (100 * put.perSecond) / Math.min(transport.perSecond, logPerSecond),
    });
  }
  return sample;
}

interface PutFigures {
  readonly perSecond: number;
  readonly cpuUs: number;
  /** Puts to a sync. */
  readonly batch: number;
  readonly batchBytes: number;
}

async function measurePuts(context: Context, clientCount: number): Promise<PutFigures> {
  const cluster = await context.start();
  try {
    let before = readMetrics(cluster.endpoint);
    const { operations, cost } = await runClosedLoad({
      target: targetOf(cluster),
      pids: cluster.pids,
      clientCount,
      connectionCount: Math.min(clientCount, 100),
      warmupMs: context.plan.warmupMs,
      warmupAnswers: context.plan.warmupAnswers,
      measureMs: context.plan.measureMs,
      next: puts(10_000, context.round),
      onMeasure: () => {
        before = readMetrics(cluster.endpoint);
      },
    });
    const [from, to] = [await before, await readMetrics(cluster.endpoint)];
    const grown = (name: string): number => (to.get(name) ?? 0) - (from.get(name) ?? 0);
    const syncs = Math.max(1, grown("etcd_disk_wal_fsync_duration_seconds_count"));
    return {
      perSecond: (operations / cost.elapsedMs) * 1000,
      cpuUs: (cost.serverCpuMs / operations) * 1000,
      batch: Math.max(1, grown("etcd_mvcc_put_total") / syncs),
      batchBytes: grown("etcd_disk_wal_write_bytes_total") / syncs,
    };
  } finally {
    await cluster.stop();
  }
}

async function measureTransport(
  context: Context,
  clientCount: number,
): Promise<{ perSecond: number; cpuUs: number }> {
  const child = startProgram("transport-server.js", []);
  try {
    const port = Number(await firstLine(child));
    const { operations, cost } = await runClosedLoad({
      target: { endpoints: [`127.0.0.1:${port}`] },
      pids: [child.pid as number],
      clientCount,
      connectionCount: Math.min(clientCount, 100),
      warmupMs: context.plan.warmupMs,
      warmupAnswers: context.plan.warmupAnswers,
      measureMs: context.plan.measureMs,
      next: () => ({ path: "/bench.Limits/Nothing", message: new Uint8Array(0) }),
    });
    return {
      perSecond: (operations / cost.elapsedMs) * 1000,
      cpuUs: (cost.serverCpuMs / operations) * 1000,
    };
  } finally {
    child.kill("SIGKILL");
  }
}

async function measureLog(
  context: Context,
  batchBytes: number,
): Promise<{ batchesPerSecond: number; cpuUsPerBatch: number }> {
  const file = join(context.folder, "bare.log");
  const args = [file, String(batchBytes), String(context.plan.measureMs)];
  const child = startProgram("log-writer.js", args);
  const { batches, elapsedMs, cpuMs } = JSON.parse(await firstLine(child)) as {
    batches: number;
    elapsedMs: number;
    cpuMs: number;
  };
  return {
    batchesPerSecond: (batches / elapsedMs) * 1000,
    cpuUsPerBatch: (cpuMs / batches) * 1000,
  };
}

function startProgram(name: string, args: readonly string[]): ChildProcess {
  const program = fileURLToPath(new URL(`../limits/${name}`, import.meta.url));
  return startChild(process.execPath, [program, ...args], { stdio: ["ignore", "pipe", "inherit"] });
}

async function firstLine(child: ChildProcess): Promise<string> {
  return await new Promise((resolve, reject) => {
    let text = "";
    child.stdout?.setEncoding("utf8").on("data", (part: string) => {
      text += part;
      const end = text.indexOf("\n");
      if (end !== -1) resolve(text.slice(0, end));
    });
    child.once("exit", (status) => reject(new Error(`a helper ended with status ${status}`)));
    child.once("error", reject);
  });
}
