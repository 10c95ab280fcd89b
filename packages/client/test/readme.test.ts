// The examples of the README run as they stand.

import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { readFileSync, rmSync, writeFileSync } from "node:fs";
import { test } from "node:test";
import { fileURLToPath } from "node:url";
import { stockMember } from "./stock-member.ts";

const readme = readFileSync(new URL("../../README.md", import.meta.url), "utf8");
const examples = [...readme.matchAll(/```js\n(.*?)```/gs)].map((match) => match[1] as string);

test("the examples of the README run", { skip: stockMember.skip }, async () => {
  assert.ok(examples.length >= 5);
  const member = await stockMember.start();
  // Beside the compiled tests, where the packages are found.
  const file = fileURLToPath(new URL("readme-examples.mjs", import.meta.url));
  try {
    const blocks = examples.map((code) =>
      code
        .replace(
          /^import \{(.*)\} from (".*");$/gm,
          (_all, names, from) => `const {${names}} = await import(${from});`,
        )
        .replaceAll("127.0.0.1:2379", member.endpoint)
        .replaceAll("new Client()", `new Client({ endpoints: ["${member.endpoint}"] })`),
    );
    writeFileSync(file, blocks.map((code) => `{\n${code}}\n`).join(""));
    const { status, stdout, stderr } = spawnSync(process.execPath, [file], { encoding: "utf8" });
    assert.equal(stderr, "");
    assert.equal(status, 0);
    assert.match(stdout, /^green 2\nmine\nput config\/colour\nworking, fencing token \d+\ntrue\n$/);
  } finally {
    rmSync(file, { force: true });
    await member.stop();
  }
});
