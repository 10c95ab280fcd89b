// CPU per put, everything included from the bytes of the connection to the bytes of the answer: HTTP/2, gRPC,
// checks, raft, log records, machine, backend in memory. The disk answers at once, so that only CPU counts.
//
//     node packages/server/dist/test/put-path.bench.js [puts] [connections]

import { encodePutRequest, PutRequest } from "@etcd-ts/api";
import { RpcServer } from "@etcd-ts/rpc";
import { MemoryBackend } from "@etcd-ts/storage";
import { Member } from "../src/index.ts";
import { defaultOptions } from "./support/member-world.ts";
import { RawClient } from "./support/raw-http2.ts";
import { realHost } from "./support/real-host.ts";

export interface PutFigures {
  readonly microsPerPut: number;
  readonly putsPerTurn: number;
  readonly longestStallMs: number;
}

export async function benchPuts(putCount: number, connectionCount: number): Promise<PutFigures> {
  const host = realHost();
  const member = await Member.open({
    host,
    options: defaultOptions,
    openBackend: async () => new MemoryBackend({ timers: host.timers }),
    onFailed: (error) => {
      throw error;
    },
  });
  await member.ready();
  const server = new RpcServer({ host, methods: member.methods });
  member.replica.afterTurn = () => server.flush();
  const clients = Array.from(
    { length: connectionCount },
    () => new RawClient(server, "/etcdserverpb.KV/Put"),
  );
  const value = Buffer.alloc(256, 120);
  const messages = Array.from({ length: 1024 }, (_, i) => {
    const request = new PutRequest();
    request.key = Buffer.from(`key-${String(i * 7919).padStart(28, "0")}`);
    request.value = value;
    return encodePutRequest(request);
  });
  let sent = 0;
  const round = (limit: number) => {
    for (const client of clients) {
      if (sent === limit) return;
      client.send(client.request(messages[sent++ % messages.length]!));
    }
  };
  const drive = async (limit: number) => {
    const before = server.counters.messagesSent;
    const first = sent;
    let answered = before;
    while (answered - before < limit - first) {
      if (sent - first === answered - before) round(limit);
      await new Promise((resolve) => setImmediate(resolve));
      answered = server.counters.messagesSent;
    }
  };
  await drive(Math.min(putCount, 2000));
  const turns = member.replica.turnCount;
  const begin = process.cpuUsage();
  await drive(sent + putCount);
  const { user, system } = process.cpuUsage(begin);
  const figures: PutFigures = {
    microsPerPut: (user + system) / putCount,
    putsPerTurn: putCount / (member.replica.turnCount - turns),
    longestStallMs: member.monitor.longestStallMs,
  };
  for (const client of clients) client.close();
  await server.close();
  await member.stop();
  return figures;
}

if (process.argv[1]?.endsWith("put-path.bench.js")) {
  const [puts = "200000", connections = "100"] = process.argv.slice(2);
  const figures = await benchPuts(Number(puts), Number(connections));
  process.stdout.write(`${JSON.stringify(figures)}\n`);
}
