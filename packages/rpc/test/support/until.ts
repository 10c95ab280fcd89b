/** Waits, turn by turn, for something that the other side of a socket will cause; fails after 10 s. */
export async function until(condition: () => boolean, what: string): Promise<void> {
  const endsMs = performance.now() + 10_000;
  while (!condition()) {
    if (performance.now() > endsMs) throw new Error(`waited in vain: ${what}`);
    await new Promise((resolve) => setTimeout(resolve, 1));
  }
}
