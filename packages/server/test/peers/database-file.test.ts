// A received database and power cuts: at every point of its making, in every way a disk can forget, a file
// under its final name is whole.

import { strict as assert } from "node:assert";
import { test } from "node:test";
import { type Bytes, background, concatBytes, equalBytes, SeededRandom } from "@etcd-ts/base";
import { changingOperations, SimDisk, SimHost, SimNet, World } from "@etcd-ts/sim";
import { DatabaseFile, databasePath, purgeDatabases } from "../../src/peers/database-file.ts";

const parts: readonly Bytes[] = [1, 5000, 3, 70_000].map((size) =>
  new SeededRandom(size).bytes(size),
);

/** Receives a database, with a power cut before the `crashAt`th change; false: there were fewer. */
async function receive(
  disk: SimDisk,
  crashAt: number,
  mode: "drop" | "keep" | "random",
): Promise<boolean> {
  const world = new World(crashAt);
  let changes = 0;
  let crashed = false;
  const host: SimHost = new SimHost({
    name: "n",
    world,
    disk,
    net: new SimNet(world, { latencyMs: () => 0 }),
    diskFaults: {
      latencyMs: () => 0.1,
      before: (operation) => {
        if (!changingOperations.has(operation) || changes++ !== crashAt) return;
        crashed = true;
        host.kill();
        disk.crash(mode, world.random);
      },
    },
  });
  let path: string | undefined;
  const write = async (): Promise<void> => {
    const file = await DatabaseFile.create(host.disk, "/snap", 10);
    for (const part of parts) file.write(part);
    path = await file.finish(async () => {});
  };
  background(write(), (error) => world.fail(error));
  await world.runUntil(() => path !== undefined || crashed, 1000);
  assert.equal(path === undefined, crashed);
  return crashed;
}

function healthyHost(world: World, disk: SimDisk): SimHost {
  return new SimHost({
    name: "n",
    world,
    disk,
    net: new SimNet(world, { latencyMs: () => 0 }),
    diskFaults: { latencyMs: () => 0 },
  });
}

/** What a fresh start finds. */
async function look(disk: SimDisk): Promise<{ names: string[]; content: Bytes | undefined }> {
  const world = new World(1);
  const host = healthyHost(world, disk);
  const path = databasePath("/snap", 10);
  return await world.complete(
    (async () => {
      let content: Bytes | undefined;
      if ((await host.disk.stat(path)) !== undefined) {
        const file = await host.disk.open(path, "read");
        content = await file.read(0, await file.size());
        await file.close();
      }
      await purgeDatabases(host.disk, "/snap", [10]);
      return { names: await host.disk.list("/snap"), content };
    })(),
    1000,
  );
}

async function folder(): Promise<SimDisk> {
  const disk = new SimDisk();
  const world = new World(1);
  const host = healthyHost(world, disk);
  await world.complete(
    (async () => {
      await host.disk.makeDirectory("/snap");
      await host.disk.syncDirectory("/snap");
      await host.disk.syncDirectory("/");
    })(),
    1000,
  );
  return disk;
}

for (const mode of ["drop", "keep", "random"] as const) {
  test(`a named database is whole after any power cut (unsynced changes: ${mode})`, async () => {
    const whole = concatBytes(parts);
    let crashPoints = 0;
    for (;;) {
      const disk = await folder();
      const crashed = await receive(disk, crashPoints, mode);
      if (!crashed) disk.crash("drop", new SeededRandom(1)); // after the end: it must stay
      const { names, content } = await look(disk);
      if (!crashed) {
        assert.ok(content !== undefined && equalBytes(content, whole));
        assert.deepEqual(names, ["000000000000000a.snap.db"]);
        break;
      }
      if (content === undefined) assert.deepEqual(names, [], `crash point ${crashPoints}`);
      else assert.ok(equalBytes(content, whole), `crash point ${crashPoints}`);
      crashPoints++;
    }
    assert.ok(crashPoints >= 7, `${crashPoints} crash points`);
  });
}

test("one that fails its inspection is gone, and a good one that has its name stays", async () => {
  const disk = await folder();
  assert.equal(await receive(disk, Number.POSITIVE_INFINITY, "drop"), false);
  const world = new World(2);
  const host = healthyHost(world, disk);
  const wrong = new Error("its hash differs");
  let inspected = "";
  const again = async (): Promise<string> => {
    const file = await DatabaseFile.create(host.disk, "/snap", 10);
    file.write(parts[0]!);
    return file.finish((path) => {
      inspected = path;
      return Promise.reject(wrong);
    });
  };
  await world.complete(assert.rejects(again(), wrong), 1000);
  assert.match(inspected, /\.part$/);
  const { names, content } = await look(disk);
  assert.deepEqual(names, ["000000000000000a.snap.db"]);
  assert.ok(content !== undefined && equalBytes(content, concatBytes(parts)));
});
