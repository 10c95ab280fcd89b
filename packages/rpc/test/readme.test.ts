// The example of README.md is run as it stands, but for the host, and must print what is printed there.

import { strict as assert } from "node:assert";
import { execFile } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import { fileURLToPath } from "node:url";

const folder = fileURLToPath(new URL("../..", import.meta.url));

test("the example in the README prints what the README says", async () => {
  const readme = readFileSync(join(folder, "README.md"), "utf8");
  const example = readme.match(/```js\n([\s\S]*?)```/)?.[1];
  const printed = readme.match(/It prints\n\n```\n([\s\S]*?)```/)?.[1];
  assert.ok(example !== undefined && printed !== undefined);
  const temporary = mkdtempSync(join(folder, "dist", "readme-"));
  try {
    const host = new URL("support/node-host.js", import.meta.url).href;
    const file = join(temporary, "example.mjs");
    writeFileSync(file, example.replace('"@etcd-ts/node"', JSON.stringify(host)));
    const output = await new Promise<string>((resolve, reject) => {
      execFile(process.execPath, [file], (error, stdout, stderr) =>
        error === null ? resolve(stdout) : reject(new Error(stderr, { cause: error })),
      );
    });
    assert.equal(output, printed);
  } finally {
    rmSync(temporary, { recursive: true });
  }
});
