import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import test from "node:test";
import { countTo42 } from "./readme-counter.ts";

const folder = new URL("../../", import.meta.url);

test("the example of the README counts to 42 on every member", () => {
  assert.deepEqual(countTo42(), [42, 42, 42]);
});

test("the README shows the example that is run here", () => {
  const readme = readFileSync(new URL("README.md", folder), "utf8");
  const example = readFileSync(new URL("test/readme-counter.ts", folder), "utf8");
  const shown = /```ts\n(import [\s\S]*?)```/.exec(readme)?.[1];
  assert.equal(shown, example.replace('"../src/index.ts"', '"@etcd-ts/raft"'));
});
