// A process of its own: writes batches of bytes one after the other into a preallocated file and syncs each (`fdatasync`), as a log that does nothing else.
//
//     log-writer FILE BATCH_BYTES MILLISECONDS
//
// Prints { batches, elapsedMs, cpuMs } as JSON.

import { closeSync, fdatasyncSync, fsyncSync, openSync, writeSync } from "node:fs";
import { SeededRandom } from "@etcd-ts/base";

const segmentBytes = 64 << 20;
const [file, batchText, durationText] = process.argv.slice(2) as [string, string, string];
const batch = new SeededRandom(3).bytes(Number(batchText));
const descriptor = openSync(file, "w");
const zeros = new Uint8Array(1 << 20);
for (let at = 0; at < segmentBytes; at += zeros.length)
  writeSync(descriptor, zeros, 0, zeros.length, at);
fsyncSync(descriptor);

const startMs = performance.now();
const startCpu = process.cpuUsage();
const endMs = startMs + Number(durationText);
let position = 0;
let batches = 0;
while (performance.now() < endMs) {
  if (position + batch.length > segmentBytes) position = 0;
  writeSync(descriptor, batch, 0, batch.length, position);
  fdatasyncSync(descriptor);
  position += batch.length;
  batches += 1;
}
const { user, system } = process.cpuUsage(startCpu);
closeSync(descriptor);
const result = { batches, elapsedMs: performance.now() - startMs, cpuMs: (user + system) / 1000 };
process.stdout.write(`${JSON.stringify(result)}\n`);
