import assert from "node:assert/strict";
import { test } from "node:test";
import { MemberWorld } from "./support/member-world.ts";

test("a new member becomes ready, serves a put and a get, and stops", async () => {
  const world = await MemberWorld.started();
  const put = await world.put("greeting", "hello");
  assert.equal(put.header?.revision, 2);
  assert.equal(await world.get("greeting"), "hello");
  await world.stop();
});
