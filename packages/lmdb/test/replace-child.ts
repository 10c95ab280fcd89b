// Run as a process of its own by the crash tests: `node replace-child.js FOLDER PUTS`. Replaces the content by one in which
// everything says the same number, prints the number once that is durable, and never stops. In between it commits one
// small batch, so that the next replacement begins on something that was written to.

import { keyToBytes } from "@etcd-ts/base";
import { LmdbBackend } from "../src/index.ts";
import { readNumber, revisionKey, valueFor } from "./numbered.ts";

const [directory, putsText] = process.argv.slice(2);
const puts = Number(putsText);
const backend = await LmdbBackend.open(directory as string);
for (let round = readNumber(backend) + 1; ; round++) {
  await backend.replaceContent(async (sink) => {
    for (let i = 0; i < puts; i++) {
      sink.put("key", revisionKey(round * puts + i), valueFor(round));
      if (i % 100 === 0) await sink.flush();
    }
    sink.put("lease", keyToBytes(String(round % 50)), valueFor(round));
    sink.put("meta", keyToBytes("round"), valueFor(round));
  });
  process.stdout.write(`${round}\n`);
  backend.put("cluster", keyToBytes("n"), valueFor(round));
  await new Promise<void>((resolve) => backend.commit(() => resolve()));
}
