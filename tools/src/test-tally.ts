// What the tests of a lane came to. Plain data: the lanes' reporters send it to the runner, which adds the
// lanes up.

export interface TestTally {
  passed: number;
  failed: number;
  /** Name, place and reason of each. */
  readonly skipped: string[];
  readonly slow: { readonly name: string; readonly ms: number }[];
}

const slowCountMax = 12;

export function emptyTally(): TestTally {
  return { passed: 0, failed: 0, skipped: [], slow: [] };
}

export function addTally(sum: TestTally, lane: TestTally): void {
  sum.passed += lane.passed;
  sum.failed += lane.failed;
  sum.skipped.push(...lane.skipped);
  sum.slow.push(...lane.slow);
}

/** What a skipped test means: a failure, but for reasons that contain `mayBe`. */
export interface SkipRule {
  readonly isFailure: boolean;
  readonly mayBe: string | undefined;
}

/** The closing lines, the last of them `N passed, N failed`. A run of nothing fails, as it proves nothing. */
export function summary(
  tally: TestTally,
  tookMs: number,
  skips: SkipRule,
): { readonly text: string; readonly ok: boolean } {
  const lines: string[] = [];
  const slow = [...tally.slow].sort((a, b) => b.ms - a.ms);
  for (const { name, ms } of slow.slice(0, slowCountMax)) {
    lines.push(`slow: ${(ms / 1000).toFixed(1)} s  ${name}`);
  }
  for (const line of tally.skipped) lines.push(`SKIPPED ${line}`);
  let failed = tally.failed;
  const { mayBe } = skips;
  const wanted = tally.skipped.filter((line) => mayBe === undefined || !line.includes(mayBe));
  if (skips.isFailure && wanted.length > 0) {
    lines.push(`${wanted.length} of the skipped tests count as failed here`);
    failed += wanted.length;
  }
  if (tally.passed === 0) failed += 1;
  lines.push(`tests took ${(tookMs / 1000).toFixed(1)} s, ${tally.skipped.length} skipped`);
  lines.push(`${tally.passed} passed, ${failed} failed`);
  return { text: `${lines.join("\n")}\n`, ok: failed === 0 };
}
