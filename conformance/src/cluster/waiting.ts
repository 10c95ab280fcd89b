// Waiting for what other processes do: asking again and again, with an end.

export function pause(ms: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, ms));
}

/** Thrown by a question that need not be asked again. */
export class GiveUp extends Error {
  override readonly name = "GiveUp";
}

/** Asks until there is an answer; throws with `what` and the last reason when there is none in time. */
export async function eventually<T>(
  what: string,
  timeoutMs: number,
  ask: () => Promise<T | undefined>,
): Promise<T> {
  const endMs = performance.now() + timeoutMs;
  let reason = "no answer yet";
  for (;;) {
    try {
      const answer = await ask();
      if (answer !== undefined) return answer;
    } catch (error) {
      if (error instanceof GiveUp) throw error;
      reason = messageOf(error);
    }
    if (performance.now() > endMs) {
      throw new Error(`${what}: not within ${timeoutMs / 1000} s (${reason})`);
    }
    await pause(20);
  }
}

export function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
