// etcdutl. Works on files only; loads the tree of commands, each command brings its own code.

import { commandLineWords } from "../shared/byte-text.ts";
import { processOutput } from "../shared/output.ts";
import { runTool } from "../shared/run-tool.ts";
import { etcdutl } from "./tool.ts";

export async function main(): Promise<void> {
  process.exit(await runTool(etcdutl, commandLineWords(process.argv), processOutput));
}
