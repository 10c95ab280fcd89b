// A thread that runs one seed after the other: gets a task, gives back what came of it.

import { parentPort } from "node:worker_threads";
import { runSeed } from "./run-seed.ts";
import type { Task } from "./swarm.ts";

const port = parentPort;
if (port === null) throw new Error("this file is the main module of a worker thread");
port.on("message", ({ seed, options }: Task) => {
  runSeed(seed, options).then(
    (result) => port.postMessage(result),
    (error: unknown) => {
      throw error;
    },
  );
});
