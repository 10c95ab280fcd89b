// A thread that runs one seed after the other: gets a number, gives back what came of it.

import { parentPort, workerData } from "node:worker_threads";
import type { PlanOptions } from "./plan.ts";
import { runSeed } from "./run-seed.ts";

const port = parentPort;
if (port === null) throw new Error("this file is the main module of a worker thread");
port.on("message", (seed: number) => {
  runSeed(seed, workerData as PlanOptions).then(
    (result) => port.postMessage(result),
    (error: unknown) => {
      throw error;
    },
  );
});
