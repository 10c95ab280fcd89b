import assert from "node:assert/strict";
import { test } from "node:test";
import { finish, parseCommandLine } from "../../src/etcd/command-line.ts";
import { memberOptions } from "../../src/etcd/member-options.ts";

test("what a member does for ever, once told, it is told by a flag only", () => {
  const optionsOf = (...flags: string[]) => {
    const line = parseCommandLine(["--initial-cluster=default=http://localhost:2380", ...flags]);
    assert.ok(line.kind === "flags");
    return memberOptions(finish(line.draft, line.given, false).config);
  };
  const untold = optionsOf();
  assert.equal(untold.raiseClusterVersion, false);
  assert.equal(untold.forceNewCluster, false);
  assert.equal(optionsOf("--raise-cluster-version").raiseClusterVersion, true);
  assert.equal(optionsOf("--force-new-cluster").forceNewCluster, true);
});
