// Run as a process of its own by the crash tests: `node writer-child.js FOLDER PUTS_PER_COMMIT`. Commits batches
// in which everything says the same number, prints each number once it is durable, and never stops.

import { keyToBytes } from "@etcd-ts/base";
import { LmdbBackend } from "../src/index.ts";
import { readNumber, revisionKey, valueFor } from "./numbered.ts";

const [directory, putsText] = process.argv.slice(2);
const puts = Number(putsText);
const backend = await LmdbBackend.open(directory as string);
let round = readNumber(backend);

const next = (): void => {
  round++;
  for (let i = 0; i < puts; i++) {
    const revision = round * puts + i;
    backend.put("key", revisionKey(revision), valueFor(round));
    // Something of the past goes, so that pages are reused.
    if (revision % 3 === 0) backend.delete("key", revisionKey(revision - 20 * puts));
  }
  backend.put("lease", keyToBytes(String(round % 50)), valueFor(round));
  backend.put("meta", keyToBytes("round"), valueFor(round));
  const committed = round;
  backend.commit((error) => {
    if (error !== undefined) {
      process.stdout.write(`error ${error.name} ${(error as { code?: string }).code}\n`);
      backend.close().catch(() => process.exit(3));
      return;
    }
    process.stdout.write(`${committed}\n`);
    next();
  });
};
next();
