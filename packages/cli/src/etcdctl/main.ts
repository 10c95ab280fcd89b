// etcdctl. Loads the tree of commands only; each command brings its own code.

import { commandLineWords } from "../shared/byte-text.ts";
import { processOutput } from "../shared/output.ts";
import { runTool } from "../shared/run-tool.ts";
import { etcdctl } from "./tool.ts";

export async function main(): Promise<void> {
  if (process.env["ETCDCTL_API"] === "2") {
    processOutput.err(
      "Error: ETCDCTL_API=2 is not supported: etcdctl speaks the v3 API only; unset ETCDCTL_API or set it to 3\n",
    );
    process.exit(1);
  }
  process.exit(await runTool(etcdctl, commandLineWords(process.argv), processOutput));
}
