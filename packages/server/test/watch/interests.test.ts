import assert from "node:assert/strict";
import { test } from "node:test";
import { SeededRandom } from "@etcd-ts/base";
import { endOfKeys, type Interest, Interests } from "../../src/watch/interests.ts";

function matches(interest: Interest, key: string): boolean {
  if (interest.end === undefined) return interest.key === key;
  return interest.key <= key && key < interest.end;
}

test("interests match single keys, ranges and open ranges, as a list searched by brute force does", () => {
  const random = new SeededRandom(11);
  const interests = new Interests<Interest>();
  const all = new Set<Interest>();
  const letters = "abcdefgh\u00ff\0";
  const word = (): string => {
    let text = "";
    for (let n = random.below(4); n >= 0; n--) text += letters[random.below(letters.length)];
    return text;
  };
  let hits = 0;
  for (let round = 0; round < 6000; round++) {
    const dice = random.below(4);
    if (dice === 0) {
      const kind = random.below(4);
      const key = word();
      const end = kind === 0 ? undefined : kind === 1 ? endOfKeys : word();
      const interest = { key, end };
      interests.add(interest);
      all.add(interest);
    } else if (dice === 1 && all.size > 0) {
      const victim = random.pick([...all]);
      assert.equal(interests.remove(victim), true);
      assert.equal(interests.remove(victim), false);
      all.delete(victim);
    } else {
      const key = word();
      const found = new Set<Interest>();
      interests.match(key, (it) => {
        assert.equal(found.has(it), false, "nobody is visited twice");
        found.add(it);
      });
      const expected = [...all].filter((it) => matches(it, key));
      assert.equal(found.size, expected.length);
      for (const it of expected) assert.ok(found.has(it));
      hits += found.size;
    }
    assert.equal(interests.count, all.size);
  }
  assert.ok(hits > 1000);
});

test("more ranges from one key than a call takes arguments", () => {
  const interests = new Interests<Interest>();
  const count = 200_000;
  for (let i = 0; i < count; i++) interests.add({ key: "a", end: `b${i}` });
  let found = 0;
  interests.match("aa", () => {
    found++;
  });
  assert.equal(found, count);
});
