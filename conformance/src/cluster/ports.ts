// Ports for the members of a cluster. All of them are taken from the system at once and let go together, so
// that no two are the same; a port is never given out twice by one process. Somebody else may still take one
// before its member binds it, or while its member is down: whoever starts a member tries again then.

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
    for (const server of servers) await new Promise((resolve) => server.close(resolve));
  }
  return ports;
}
