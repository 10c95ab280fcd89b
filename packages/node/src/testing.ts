// For tests and benchmarks that start processes whose URLs must be known before they start: ports that the system
// chooses. Those asked for together are all held before the first is let go, and a process gives none out twice.
// Somebody else may still take one before it is bound, or while its process is down: whoever starts one tries again then.

import { createServer, type Server } from "node:net";

const given = new Set<number>();

/** Ports of 127.0.0.1 that are free now. */
export async function takePorts(count: number): Promise<number[]> {
  const servers: Server[] = [];
  const ports: number[] = [];
  try {
    while (ports.length < count) {
      const server = createServer();
      servers.push(server);
      await new Promise<void>((resolve, reject) => {
        server.once("error", reject);
        server.listen(0, "127.0.0.1", resolve);
      });
      const address = server.address();
      if (address === null || typeof address === "string") throw new Error("no port");
      if (given.has(address.port)) continue;
      given.add(address.port);
      ports.push(address.port);
    }
  } finally {
    await Promise.all(servers.map((it) => new Promise((resolve) => it.close(resolve))));
  }
  return ports;
}

export async function takePort(): Promise<number> {
  const [port] = await takePorts(1);
  return port as number;
}
