/** Waits, turn by turn, for something that the other side of a socket will cause; fails after a minute. */
export async function until(condition: () => boolean, what: string): Promise<void> {
  const endsMs = performance.now() + 60_000;
  while (!condition()) {
    if (performance.now() > endsMs) throw new Error(`waited in vain: ${what}`);
    await new Promise((resolve) => setTimeout(resolve, 1));
  }
}
