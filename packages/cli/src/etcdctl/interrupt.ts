// SIGINT and SIGTERM as an AbortSignal, for commands that have something to give back before they end. Giving back
// may itself wait for a cluster that does not answer, so a second signal ends the process as it always would. Not one
// that comes at once, though: `timeout`, shells and wrappers often send a signal to the process and to its group.

const togetherMs = 500;

export interface Interrupt extends Disposable {
  readonly signal: AbortSignal;
  /** Resolves at the first signal. */
  readonly received: Promise<void>;
}

/** Thrown by what was waiting when the signal came. */
export class Interrupted extends Error {
  override readonly name = "Interrupted";
}

export function catchInterrupt(): Interrupt {
  const controller = new AbortController();
  let resolve: () => void = () => undefined;
  const received = new Promise<void>((it) => {
    resolve = it;
  });
  const letGo = (): void => {
    process.off("SIGINT", onSignal);
    process.off("SIGTERM", onSignal);
  };
  const onSignal = (): void => {
    if (controller.signal.aborted) return;
    setTimeout(letGo, togetherMs).unref();
    controller.abort(new Interrupted("context canceled"));
    resolve();
  };
  process.on("SIGINT", onSignal);
  process.on("SIGTERM", onSignal);
  return {
    signal: controller.signal,
    received,
    [Symbol.dispose]: () => {
      // Who was interrupted still has to say so, and the second of two signals may come just then.
      if (!controller.signal.aborted) letGo();
    },
  };
}
