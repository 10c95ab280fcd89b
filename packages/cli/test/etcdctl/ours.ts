// Our etcdctl, run inside the test process (a new Node process takes 100 ms, this takes 5), or as a program.

import { Readable } from "node:stream";
import { fileURLToPath } from "node:url";
import { etcdctl } from "../../src/etcdctl/tool.ts";
import type { Tool } from "../../src/shared/command.ts";
import { runTool } from "../../src/shared/run-tool.ts";
import { replaceInput } from "../../src/shared/stdin.ts";
import type { Finished } from "./stock.ts";

/** The executable, found from the compiled test. */
export const etcdctlProgram: string = fileURLToPath(
  new URL("../../../../../bin/etcdctl", import.meta.url),
);

/** Runs a command line in this process, with these ETCDCTL_ variables and no others; `stdin` is latin1. */
export async function ours(
  args: readonly string[],
  env: Readonly<Record<string, string>> = {},
  tool: Tool = etcdctl,
  stdin = "",
): Promise<Finished> {
  const out: Uint8Array[] = [];
  let stderr = "";
  const kept = Object.entries(process.env).filter(([name]) => name.startsWith("ETCDCTL_"));
  for (const [name] of kept) delete process.env[name];
  Object.assign(process.env, env);
  replaceInput(Readable.from(stdin === "" ? [] : [Buffer.from(stdin, "latin1")]));
  try {
    const status = await runTool(tool, args, {
      out: (data) => out.push(typeof data === "string" ? Buffer.from(data) : data),
      err: (text) => {
        stderr += Buffer.from(text).toString("latin1");
      },
    });
    return { status, stdout: Buffer.concat(out).toString("latin1"), stderr };
  } finally {
    replaceInput(undefined);
    for (const name of Object.keys(env)) delete process.env[name];
    for (const [name, value] of kept) process.env[name] = value;
  }
}
