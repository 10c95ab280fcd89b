// Command lines and what they print, without any server. The files in `golden/` hold one case after the
// other: a line `$ etcdctl …`, lines `S|` for standard output and `E|` for standard error, the exit status.
// `GOLDEN=rewrite` writes what is printed now; the diff is for people to judge.

import assert from "node:assert/strict";
import { readdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import { fileURLToPath } from "node:url";
import { etcdctl } from "../../src/etcdctl/tool.ts";
import { etcdutl } from "../../src/etcdutl/tool.ts";
import { splitWords } from "../../src/shared/word-split.ts";
import { ours } from "./ours.ts";

const folder = fileURLToPath(new URL("../../../test/etcdctl/golden", import.meta.url));
const rewrite = process.env["GOLDEN"] === "rewrite";

for (const name of readdirSync(folder).sort()) {
  test(`golden ${name}`, async () => {
    const path = join(folder, name);
    const text = readFileSync(path, "utf8");
    let now = "";
    let cases = 0;
    for (const line of text.split("\n")) {
      if (line.startsWith("#") || line === "") now += `${line}\n`;
      if (!line.startsWith("$ ")) continue;
      cases += 1;
      now += `${line}\n${await printed(line.slice(2))}`;
    }
    now = `${now.trimEnd()}\n`;
    if (rewrite) writeFileSync(path, now);
    else assert.equal(now, text);
    assert.ok(cases > 0);
  });
}

/** Result of a line: an optional `NAME=value`, the tool, its words. */
async function printed(line: string): Promise<string> {
  const words = splitWords(line);
  const env: Record<string, string> = {};
  while (/^[A-Z_]+=/.test(words[0] ?? "")) {
    const [name, value] = (words.shift() as string).split("=", 2) as [string, string];
    env[name] = value;
  }
  const tool = words.shift() === "etcdutl" ? etcdutl : etcdctl;
  const { stdout, stderr, status } = await ours(words, env, tool);
  return `${marked("S|", stdout)}${marked("E|", stderr)}exit ${status}\n`;
}

function marked(mark: string, output: string): string {
  if (output === "") return "";
  const text = Buffer.from(output, "latin1").toString("utf8");
  const lines = text.split("\n");
  const last = lines.pop() as string;
  const whole = lines.map((it) => `${mark}${it}\n`).join("");
  return last === "" ? whole : `${whole}${mark}${last}<no line end>\n`;
}
