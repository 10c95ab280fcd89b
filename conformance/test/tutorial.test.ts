import { readFileSync } from "node:fs";
import { describe, test } from "node:test";
import { fileURLToPath } from "node:url";
import { noStockReason, ours, type Programs, stockReleases } from "../src/programs.ts";
import { ServerProcess } from "../src/server-process.ts";
import { parseTranscript, replayTranscript } from "../src/transcript.ts";

const steps = parseTranscript(
  readFileSync(fileURLToPath(new URL("../../tutorial/tutorial.txt", import.meta.url)), "utf8"),
);
const stock = stockReleases();

function replays(etcdctl: Programs, server: Programs): void {
  test(`etcdctl of ${etcdctl.name}, server of ${server.name}`, async () => {
    const process = await ServerProcess.start(server);
    try {
      await replayTranscript(steps, { etcdctl: etcdctl.etcdctl, endpoint: process.endpoint });
    } finally {
      await process.stop();
    }
  });
}

// A third of the time they wait for leases to end.
describe("the tutorial", { concurrency: 2 }, () => {
  replays(ours, ours);
  for (const release of stock) {
    replays(release, ours);
    replays(ours, release);
  }
});
if (stock.length === 0) test("the tutorial with stock programs", { skip: noStockReason }, () => {});
