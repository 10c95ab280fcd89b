// A process of its own: our rpc server with one method that answers nothing with nothing. Prints its port.

import { nodeHost, silentLog, tuneEngine } from "@etcd-ts/node";
import { RpcServer } from "@etcd-ts/rpc";

tuneEngine();
const nothing = new Uint8Array(0);
const server = new RpcServer({
  host: nodeHost({ log: silentLog }),
  methods: { "/bench.Limits/Nothing": { kind: "unary", handle: (call) => call.respond(nothing) } },
});
const { address } = await server.serve({ kind: "tcp", host: "127.0.0.1", port: 0 });
if (address.kind !== "tcp") throw new Error("not a TCP address");
process.stdout.write(`${address.port}\n`);
process.once("SIGTERM", () => process.exit(0));
