import type { Scenario } from "../scenario.ts";
import { churnScenario } from "./churn.ts";
import { clusterScenarios } from "./cluster.ts";
import { failoverScenario } from "./failover.ts";
import { largeStoreScenario } from "./large-store.ts";
import { leaseExpiryScenario } from "./lease-expiry.ts";
import { keepAliveScenarios } from "./lease-keepalive.ts";
import { limitsScenario } from "./limits.ts";
import { requestScenarios } from "./requests.ts";
import { etcdctlScenario, startScenario } from "./start.ts";
import { sweepScenarios } from "./sweep.ts";
import { tlsScenarios } from "./tls.ts";
import { watchManyScenario, watchOneScenario } from "./watch.ts";

/** In the order in which they are measured and shown. */
export const scenarios: readonly Scenario[] = [
  ...requestScenarios,
  watchOneScenario,
  watchManyScenario,
  ...keepAliveScenarios,
  leaseExpiryScenario,
  ...clusterScenarios,
  failoverScenario,
  largeStoreScenario,
  churnScenario,
  ...tlsScenarios,
  etcdctlScenario,
  startScenario,
  limitsScenario,
  ...sweepScenarios,
];
