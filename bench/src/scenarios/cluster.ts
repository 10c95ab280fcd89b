// Three members on one machine. CPU is summed over them.

import { gets, puts } from "../load/requests.ts";
import { atLeast, atMost, type Scenario } from "../scenario.ts";
import { loadScenario } from "./load-scenario.ts";

const keyCount = 10_000;
const putGoals = [atLeast("perSecond", 1.5), atMost("cpuUs", 0.5), atMost("p99Ms", 1)];
const note = "connections go round among the three members; CPU and memory are sums over them";

export const clusterScenarios: readonly Scenario[] = [
  ...[100, 1000].map((clientCount) =>
    loadScenario({
      name: `cluster-put-${clientCount}`,
      title: `three members, put 256 B, ${clientCount.toLocaleString("en")} clients`,
      clientCount,
      connectionCount: 99,
      members: 3,
      next: (seed) => puts(keyCount, seed),
      goals: putGoals,
      note,
    }),
  ),
  loadScenario({
    name: "cluster-get",
    title: "three members, get one key, linearizable, 100 clients",
    clientCount: 100,
    connectionCount: 99,
    members: 3,
    preloadedKeys: keyCount,
    next: (seed, count) => gets(count, seed, false),
    goals: [atLeast("perSecond", 2)],
    note,
  }),
];
