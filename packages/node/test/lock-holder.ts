// A process for the lock tests: takes the lock named by its argument, says "locked" or why not, and holds
// it until it is killed or its input ends.

import { nodeHost, silentLog } from "../src/index.ts";

const path = process.argv[2] ?? "";
try {
  const lock = await nodeHost({ log: silentLog }).disk.lock(path);
  process.stdout.write("locked\n");
  process.stdin.resume();
  process.stdin.once("end", () => {
    void lock.release();
  });
} catch (error) {
  process.stdout.write(`refused ${(error as { code?: string }).code}\n`);
}
