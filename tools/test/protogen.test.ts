import assert from "node:assert/strict";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import { generateAll } from "../src/protogen/generate.ts";
import { loadPackage } from "../src/protogen/load.ts";
import { moduleName, propertyName } from "../src/protogen/names.ts";
import { root } from "../src/protogen/packages.ts";

test("the generated files in the repository are what the generator writes", () => {
  const outputs = generateAll();
  assert.ok(outputs.size > 14, `${outputs.size} files`);
  for (const [path, text] of outputs) {
    assert.equal(readFileSync(join(root, path), "utf8"), text, `${path}: run \`npm run gen\``);
  }
});

test("proto names become property names", () => {
  const names = {
    range_end: "rangeEnd",
    TTL: "ttl",
    ID: "id",
    remaining_TTL: "remainingTtl",
    grantedTTL: "grantedTtl",
    peerURLs: "peerUrls",
    clientURLs: "clientUrls",
    NodeID: "nodeId",
    member_ID: "memberId",
    dbSizeInUse: "dbSizeInUse",
    LeaseTimeToLiveRequest: "leaseTimeToLiveRequest",
    v2: "v2",
    logTerm: "logTerm",
  };
  for (const [proto, property] of Object.entries(names))
    assert.equal(propertyName(proto), property);
  assert.equal(moduleName("raft_internal.proto"), "raft-internal");
});

test("what the generator does not support stops it", () => {
  const folder = mkdtempSync(join(tmpdir(), "protogen-"));
  try {
    const refuses = (body: string, what: RegExp): void => {
      writeFileSync(join(folder, "x.proto"), `syntax = "proto3";\npackage x;\n${body}\n`);
      assert.throws(() => loadPackage(["x.proto"], folder, []), what);
    };
    refuses("message M { double d = 1; }", /type double/);
    refuses("message M { fixed64 d = 1; }", /type fixed64/);
    refuses("message M { map<int32, M> d = 1; }", /map<string, message>/);
    refuses("message M { string a_b = 1; string aB = 2; }", /one property name/);
    refuses("enum E { A = 0; B = 5; }", /values are not 0, 1, 2/);
    refuses("message M { string s = 1 [(etcdts.safe) = true]; }", /safe is for 64-bit/);
    refuses("message M { bool b = 1 [(etcdts.always) = true]; }", /always is for/);
  } finally {
    rmSync(folder, { recursive: true });
  }
});
