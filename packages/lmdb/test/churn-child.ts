// Run as a process of its own: `node churn-child.js FOLDER defragment|replace`. The first thing that happens to a new file
// is a commit that frees a thousand pages.

import { type Bytes, emptyBytes } from "@etcd-ts/base";
import { LmdbBackend } from "../src/index.ts";
import { revisionKey, valueFor } from "./numbered.ts";

const [directory, how] = process.argv.slice(2);
const count = 40_000;
let backend = await LmdbBackend.open(directory as string);
for (let i = 1; i <= count; i++) {
  backend.put("key", revisionKey(i), valueFor(i));
  if (i % 2_000 === 0) await new Promise<void>((resolve) => backend.commit(() => resolve()));
}
if (how === "defragment") await backend.defragment();
else {
  const view = await backend.view();
  await backend.replaceContent(async (sink) => {
    const pairs: [Bytes, Bytes][] = [];
    view.scan("key", emptyBytes, undefined, count, (key, value) => {
      pairs.push([new Uint8Array(key), new Uint8Array(value)]);
      return true;
    });
    for (const [key, value] of pairs) sink.put("key", key, value);
  });
  view.close();
}
await backend.close();
backend = await LmdbBackend.open(directory as string);
for (let i = 1; i <= count; i += 20) backend.delete("key", revisionKey(i));
await new Promise<void>((resolve) => backend.commit(() => resolve()));
let left = 0;
backend.scan("key", emptyBytes, undefined, count, () => ++left > 0);
await backend.close();
process.stdout.write(`${left}\n`);
