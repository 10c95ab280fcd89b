// Ports for members whose URLs must be known before they start. A port that the system chose and that was given back
// may go to anybody who asks for one before the member listens, or while it is down. These are below those that
// systems choose, and each process of tests begins elsewhere, so that nobody else comes by.

import { createServer } from "node:net";

const first = 23_000;
const count = 9_000;
let next = (process.pid * 1009) % count;

/** One on 127.0.0.1 that nobody listens at, another one every time. */
export async function freePort(): Promise<number> {
  for (let attempt = 0; attempt < count; attempt++) {
    const port = first + next;
    next = (next + 1) % count;
    if (await isFree(port)) return port;
  }
  throw new Error(`no port from ${first} to ${first + count - 1} is free`);
}

export async function freePorts(wanted: number): Promise<number[]> {
  const ports: number[] = [];
  while (ports.length < wanted) ports.push(await freePort());
  return ports;
}

function isFree(port: number): Promise<boolean> {
  return new Promise((resolve, reject) => {
    const server = createServer();
    server.once("error", (error: NodeJS.ErrnoException) => {
      if (error.code === "EADDRINUSE") resolve(false);
      else reject(error);
    });
    server.listen(port, "127.0.0.1", () => server.close(() => resolve(true)));
  });
}
