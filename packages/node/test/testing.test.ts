import assert from "node:assert/strict";
import { createServer } from "node:net";
import { test } from "node:test";
import { takePort, takePorts } from "@etcd-ts/node/testing";

test("ports for tests are all different, and free", async () => {
  const ports = [...(await takePorts(20)), ...(await takePorts(20)), await takePort()];
  assert.equal(new Set(ports).size, 41);
  const server = createServer();
  await new Promise<void>((resolve, reject) => {
    server.once("error", reject);
    server.listen(ports[40], "127.0.0.1", resolve);
  });
  await new Promise((resolve) => server.close(resolve));
});
