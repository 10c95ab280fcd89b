// Requests of one kind from many clients: puts, gets, ranges, transactions, a mixture.

import { gets, mixed, puts, ranges, txns } from "../load/requests.ts";
import { atLeast, atMost, type Goal, type Scenario } from "../scenario.ts";
import { loadScenario } from "./load-scenario.ts";

const keyCount = 10_000;

function putScenario(clientCount: number, goals: readonly Goal[]): Scenario {
  return loadScenario({
    name: `put-${clientCount}`,
    title: `put 256 B, ${clientCount.toLocaleString("en")} client${clientCount === 1 ? "" : "s"}`,
    clientCount,
    connectionCount: Math.min(clientCount, 100),
    next: (seed) => puts(keyCount, seed),
    goals,
  });
}

function readScenario(name: string, title: string, serializable: boolean): Scenario {
  return loadScenario({
    name,
    title,
    clientCount: 100,
    connectionCount: 100,
    preloadedKeys: keyCount,
    next: (seed, count) => gets(count, seed, serializable),
    goals: [atLeast("perSecond", 2.5), atMost("cpuUs", 0.3), atMost("p99Ms", 0.5)],
  });
}

export const requestScenarios: readonly Scenario[] = [
  putScenario(1, [atLeast("perSecond", 1), atMost("cpuUs", 1), atMost("p99Ms", 1)]),
  putScenario(100, [atLeast("perSecond", 1.5), atMost("cpuUs", 0.35), atMost("p99Ms", 1)]),
  putScenario(1000, [atLeast("perSecond", 2), atMost("cpuUs", 0.3), atMost("p99Ms", 1)]),
  readScenario("get-linearizable", "get one key, linearizable, 100 clients", false),
  readScenario("get-serializable", "get one key, serializable, 100 clients", true),
  loadScenario({
    name: "range-1000",
    title: "range of 1,000 keys, 10 clients",
    clientCount: 10,
    connectionCount: 10,
    preloadedKeys: keyCount,
    next: (seed, count) => ranges(count, seed, 1000),
    goals: [atLeast("perSecond", 2), atMost("cpuUs", 0.5)],
  }),
  loadScenario({
    name: "txn",
    title: "txn (compare, put, get), 100 clients",
    clientCount: 100,
    connectionCount: 100,
    preloadedKeys: keyCount,
    next: (seed, count) => txns(count, seed),
    goals: [atLeast("perSecond", 2.5), atMost("cpuUs", 0.3)],
  }),
  loadScenario({
    name: "mixed",
    title: "90 % get, 10 % put over many keys, 100 clients",
    clientCount: 100,
    connectionCount: 100,
    preloadedKeys: ({ plan }) => (plan.quick ? 20_000 : plan.largeKeyCount),
    next: (seed, count) => mixed(count, seed),
    goals: [atLeast("perSecond", 2.5), atMost("cpuUs", 0.3), atMost("p99Ms", 0.5)],
    note: "as many keys as the large store (a million, unless --keys says otherwise); gets are linearizable",
  }),
];
