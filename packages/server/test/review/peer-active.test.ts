// Whether a peer counts as reachable follows what is up now, not what once broke.

import { strict as assert } from "node:assert";
import { test } from "node:test";
import { areConnected, connected, LinksWorld } from "../peers/support/links-world.ts";

test("a peer that dialled its streams anew is active again, though ours to it never broke", async () => {
  const world = new LinksWorld();
  const [a, b] = [await world.node(1n), await world.node(2n)];
  await connected(world, a, b);
  assert.notEqual(a.links.activeSinceMs(2n), undefined);
  // What b dialled carries what a writes; what a dialled stays up.
  b.net.cut();
  await world.until(() => !areConnected(a, b), 1000, "a has lost its write streams");
  await world.until(() => areConnected(a, b), 2000, "all four streams are back");
  await world.run(10_000);
  assert.equal(areConnected(a, b), true);
  assert.notEqual(a.links.activeSinceMs(2n), undefined);
  assert.notEqual(b.links.activeSinceMs(1n), undefined);
  a.links.stop();
  b.links.stop();
});

test("a snapshot that failed does not make a connected peer unreachable for ever", async () => {
  const world = new LinksWorld();
  const [a, b] = [await world.node(1n), await world.node(2n)];
  await connected(world, a, b);
  b.refuseDatabase = "damaged";
  a.database = [new Uint8Array(100)];
  a.send(7, b);
  await world.until(() => a.snapshots.length > 0, 5000, "the snapshot failed");
  assert.deepEqual(a.snapshots, [[2n, false]]);
  await world.run(10_000);
  assert.equal(areConnected(a, b), true);
  assert.notEqual(a.links.activeSinceMs(2n), undefined);
  a.links.stop();
  b.links.stop();
});
