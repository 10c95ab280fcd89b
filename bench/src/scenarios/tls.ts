// Put and get over TLS. Both servers use the same certificate (P-256), made for the occasion.

import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { issueCertificate } from "@etcd-ts/node";
import { preload } from "../load/preload.ts";
import { gets, type NextRequest, puts } from "../load/requests.ts";
import { atLeast, atMost, type Scenario, targetOf } from "../scenario.ts";
import { loadFigures, measureLoad } from "./load-scenario.ts";

const keyCount = 10_000;

function tlsScenario(name: string, title: string, next: (seed: number) => NextRequest): Scenario {
  return {
    name,
    title,
    figures: loadFigures,
    goals: [atLeast("perSecond", 1.2), atMost("cpuUs", 0.8)],
    async run(context) {
      const certificate = issueCertificate({
        commonName: "bench",
        hosts: ["127.0.0.1", "localhost"],
        purposes: ["server"],
        authority: true,
        validDays: 2,
        nowMs: Date.now(),
        curve: "P-256",
      });
      const tls = {
        certificateFile: join(context.folder, "server.crt"),
        keyFile: join(context.folder, "server.key"),
      };
      writeFileSync(tls.certificateFile, certificate.certificatePem);
      writeFileSync(tls.keyFile, certificate.keyPem, { mode: 0o600 });
      const cluster = await context.start({ tls });
      const target = targetOf(cluster, certificate.certificatePem);
      await preload(target, keyCount);
      return await measureLoad(context, cluster, {
        clientCount: 100,
        connectionCount: 100,
        next: next(context.round),
        target,
        withoutMetrics: true,
      });
    },
  };
}

export const tlsScenarios: readonly Scenario[] = [
  tlsScenario("tls-put", "put 256 B over TLS, 100 clients", (seed) => puts(keyCount, seed)),
  tlsScenario("tls-get", "get one key over TLS, linearizable, 100 clients", (seed) =>
    gets(keyCount, seed, false),
  ),
];
