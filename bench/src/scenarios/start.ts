// Times of whole processes: the start of a server on an empty directory, and a cold `etcdctl put`.

import { spawn } from "node:child_process";
import { median } from "../report/report.ts";
import { atMost, type Scenario } from "../scenario.ts";
import { cleanEnvironment } from "../servers/etcd-process.ts";

const starts = 5;
const commands = 15;

export const startScenario: Scenario = {
  name: "start",
  title: "start of an empty member",
  figures: [{ key: "readyMs", label: "until it says that it is ready", unit: "ms" }],
  goals: [],
  async run(context) {
    const took: number[] = [];
    for (let n = 0; n < (context.plan.quick ? 1 : starts); n++) {
      const startMs = performance.now();
      const cluster = await context.start();
      took.push(performance.now() - startMs);
      await cluster.stop();
    }
    return { readyMs: median(took) };
  },
};

export const etcdctlScenario: Scenario = {
  name: "etcdctl-put",
  title: "etcdctl put, whole process",
  figures: [{ key: "wallMs", label: "wall time", unit: "ms" }],
  goals: [atMost("wallMs", 3)],
  note: "each etcdctl against the server of its own kind",
  async run(context) {
    const cluster = await context.start();
    const took: number[] = [];
    for (let n = 0; n < (context.plan.quick ? 5 : commands); n++) {
      took.push(await putOnce(context.contender.etcdctl, cluster.endpoint));
    }
    return { wallMs: median(took) };
  },
};

async function putOnce(etcdctl: string, endpoint: string): Promise<number> {
  const startMs = performance.now();
  const child = spawn(etcdctl, ["--endpoints", endpoint, "put", "key", "value"], {
    stdio: ["ignore", "ignore", "inherit"],
    env: { ...cleanEnvironment(process.env), ETCDCTL_API: "3" },
  });
  const status = await new Promise((resolve, reject) => {
    child.once("exit", resolve);
    child.once("error", reject);
  });
  if (status !== 0) throw new Error(`${etcdctl} put ended with status ${status}`);
  return performance.now() - startMs;
}
