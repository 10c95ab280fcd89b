// Where upstream's scenario files are: `$ETCD_TS_RAFT_TESTDATA`, or `shared/raft-testdata` in the folder
// that holds the repository.

import { join } from "node:path";
import { fileURLToPath } from "node:url";

export function sharedScenarios(): string {
  const named = process.env["ETCD_TS_RAFT_TESTDATA"];
  if (named !== undefined && named !== "") return named;
  // packages/raft/dist/test/scenarios/ is five folders below the root.
  const root = fileURLToPath(new URL("../../../../../", import.meta.url));
  return join(root, "..", "shared", "raft-testdata");
}
