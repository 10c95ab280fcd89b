// The process in which the tests run: imports the files that it is given, which registers their tests.
// Tests run one after the other in that order; the last one tells the reporter that all have run, so that
// a handle which a test forgot cannot keep the run from ending.

import { resolve } from "node:path";
import { test } from "node:test";
import { pathToFileURL } from "node:url";
import { endOfTests } from "./end-of-tests.ts";

for (const file of process.argv.slice(2)) await import(pathToFileURL(resolve(file)).href);

test(endOfTests, () => undefined);
