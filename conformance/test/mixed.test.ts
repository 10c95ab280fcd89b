// Clusters of ours and of each stock release at hand, in small; `npm run conformance -- mixed` does it at
// length.

import { test } from "node:test";
import { type MixedScenario, mixed } from "../src/cluster/mixed.ts";
import { patientLimits } from "../src/cluster/mixed-checks.ts";
import { noStockReason, ours, type Programs, stockReleases } from "../src/programs.ts";

const what: Record<MixedScenario, string> = {
  follow: "ours follows stock and votes after the stock leader was killed",
  lead: "ours leads stock members",
  receive: "ours joins by a snapshot of stock",
  send: "stock joins by a snapshot of ours",
  migrate: "three stock members become three of ours and stock again, under load",
};

const seed = Number(process.env["SEED"] ?? 1);
const stock = stockReleases();
const newest = stock.at(-1);

/** All scenarios with the newest release; of the older ones those in which ours writes what stock reads. */
function scenariosOf(release: Programs): readonly MixedScenario[] {
  return release === newest ? ["follow", "lead", "receive", "send", "migrate"] : ["lead", "send"];
}

for (const release of stock) {
  for (const scenario of scenariosOf(release)) {
    test(`${release.name}: ${what[scenario]}`, async () => {
      await mixed(scenario, {
        ...{ ours, stock: release, seed, writesPerSecond: 300, operationCount: 250 },
        ...{ awayWriteCount: 6_500, limits: patientLimits, thorough: false },
      });
    });
  }
}
if (stock.length === 0) test("mixed clusters", { skip: noStockReason }, () => {});
