// `npm run gen`: writes the generated modules. With `--check` nothing is written, and the exit status is 1
// when a file on disk is not what would be written.

import { mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { generateAll } from "./generate.ts";
import { root } from "./packages.ts";

const check = process.argv.includes("--check");
let differing = 0;
for (const [path, text] of generateAll()) {
  const file = join(root, path);
  let present: string | undefined;
  try {
    present = readFileSync(file, "utf8");
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== "ENOENT") throw error;
  }
  if (present === text) continue;
  differing++;
  process.stdout.write(`${check ? "differs" : "written"}: ${path}\n`);
  if (!check) {
    mkdirSync(dirname(file), { recursive: true });
    writeFileSync(file, text);
  }
}
if (check && differing > 0) {
  process.stderr.write(`${differing} generated files differ: run \`npm run gen\`\n`);
  process.exitCode = 1;
}
