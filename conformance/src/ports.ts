// Ports for processes whose URLs must be known before they start. One that the system chose and that was given back
// may go to anybody who asks for one before the process binds it, or while it is down. These are below those that
// systems choose, each process begins elsewhere, and none is given out twice before all were.

import { createServer } from "node:net";

const first = 23_000;
const all = 9_000;
let next = (process.pid * 1009) % all;

/** Ports of 127.0.0.1 that are free now. */
export async function takePorts(count: number): Promise<number[]> {
  const ports: number[] = [];
  for (let attempt = 0; ports.length < count; attempt++) {
    if (attempt === all) throw new Error(`no port from ${first} to ${first + all - 1} is free`);
    const port = first + next;
    next = (next + 1) % all;
    if (await isFree(port)) ports.push(port);
  }
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
