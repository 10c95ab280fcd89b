// What a unary call costs in CPU, with requests and answers of 64 bytes and 100 calls at a time:
//
//     in memory       client and server together, no sockets
//     loopback        client and server together in one process
//     server alone    the load comes from another process; 1 and 10 connections
//
// The suite runs a tiny size of it. For figures:
//
//     RPC_BENCH_CALLS=300000 node packages/rpc/dist/test/bench/unary.bench.js

import { strict as assert } from "node:assert";
import { fork } from "node:child_process";
import { test } from "node:test";
import { fileURLToPath } from "node:url";
import type { NetAddress } from "@etcd-ts/base";
import { Channel, type MethodTable, RpcServer } from "../../src/index.ts";
import { nodeHost } from "../support/node-host.ts";
import { World } from "../support/world.ts";
import { callMany } from "./load.ts";

const calls = Number(process.env["RPC_BENCH_CALLS"] ?? 2000);
const full = process.env["RPC_BENCH_CALLS"] !== undefined;
const methods: MethodTable = {
  "/bench.Echo/Echo": { kind: "unary", handle: (call, message) => call.respond(message) },
};
const localhost = { kind: "tcp", host: "127.0.0.1", port: 0 } as const;

async function cpuMicrosPerCall(count: number, run: () => Promise<void>): Promise<number> {
  const before = process.cpuUsage();
  await run();
  const { user, system } = process.cpuUsage(before);
  return (user + system) / count;
}

function report(what: string, micros: number): void {
  if (full) process.stdout.write(`${what.padEnd(40)} ${micros.toFixed(2)} µs CPU per call\n`);
}

test("unary calls in memory", async () => {
  const world = new World();
  const server = new RpcServer({ host: world.host, methods });
  const { address } = await server.serve({ kind: "tcp", host: "server", port: 0 });
  const channel = new Channel({ host: world.host, address });
  for (const count of [Math.ceil(calls / 10), calls]) {
    const micros = await cpuMicrosPerCall(count, async () => {
      const done = callMany([channel], count, 100);
      await world.settle();
      await done;
    });
    if (count === calls) report("client and server, in memory", micros);
  }
  assert.ok(server.counters.messagesSent >= calls);
  assert.ok(server.counters.writes * 20 < server.counters.messagesSent, "answers share writes");
  channel.close();
});

test("unary calls over loopback", async () => {
  const server = new RpcServer({ host: nodeHost(), methods });
  const { address } = await server.serve(localhost);
  const channel = new Channel({ host: nodeHost(), address });
  await callMany([channel], Math.ceil(calls / 10), 100);
  report(
    "client and server, loopback",
    await cpuMicrosPerCall(calls, () => callMany([channel], calls, 100)),
  );
  assert.ok(server.counters.messagesSent >= calls);
  channel.close();
  await server.close();
});

async function serverAlone(
  address: NetAddress,
  connections: number,
  concurrency: number,
): Promise<number> {
  const program = fileURLToPath(new URL("load.js", import.meta.url));
  const load = fork(program, [], { execArgv: [] });
  const next = (): Promise<unknown> => new Promise((resolve) => load.once("message", resolve));
  await next();
  load.send({ address, connections, concurrency, count: Math.ceil(calls / 10) });
  await next();
  const micros = await cpuMicrosPerCall(calls, async () => {
    load.send({ address, connections, concurrency, count: calls });
    await next();
  });
  const ended = new Promise((resolve) => load.once("exit", resolve));
  load.disconnect();
  await ended;
  return micros;
}

test("unary calls, the server alone", async () => {
  const server = new RpcServer({ host: nodeHost(), methods });
  const { address } = await server.serve(localhost);
  const loads = full ? [1, 10, 100] : [10];
  for (const connections of loads) {
    const concurrency = connections === 1 ? 100 : connections * 10;
    const micros = await serverAlone(address, connections, concurrency);
    report(`server, ${connections} connections, ${concurrency} calls at a time`, micros);
  }
  assert.ok(server.counters.messagesSent >= calls * loads.length);
  await server.close({ graceMs: 0 });
});
