// Run as a process of its own: `node damage-child.js FOLDER…`. Opens each store, reads it as a member does, writes to it,
// and prints a line of what came of it.

import { emptyBytes, keyToBytes } from "@etcd-ts/base";
import { bucketNames } from "@etcd-ts/machine";
import { LmdbBackend } from "../src/index.ts";

async function use(folder: string): Promise<string> {
  const backend = await LmdbBackend.open(folder);
  try {
    let count = 0;
    backend.scanSpans("key", emptyBytes, () => ++count > 0);
    for (const bucket of bucketNames) {
      if (bucket === "key") continue;
      backend.scan(bucket, emptyBytes, undefined, 1e9, () => ++count > 0);
    }
    for (let i = 0; i < 3; i++) {
      backend.put("meta", keyToBytes("consistent_index"), keyToBytes(String(i)));
      await new Promise<void>((resolve, reject) => {
        backend.commit((error) => (error === undefined ? resolve() : reject(error)));
      });
    }
    return `works: ${count}`;
  } finally {
    await backend.close();
  }
}

for (const folder of process.argv.slice(2)) {
  const outcome = await use(folder).catch((error: Error) => `${error.name} ${error.message}`);
  process.stdout.write(`${outcome.split("\n")[0]}\n`);
}
