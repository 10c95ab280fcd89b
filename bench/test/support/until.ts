/** Waits for what must come true soon, however busy the machine is; fails after a minute. */
export async function until(what: string, holds: () => boolean | Promise<boolean>): Promise<void> {
  const endMs = performance.now() + 60_000;
  while (!(await holds())) {
    if (performance.now() > endMs) throw new Error(`not within a minute: ${what}`);
    await new Promise((resolve) => setTimeout(resolve, 1));
  }
}
