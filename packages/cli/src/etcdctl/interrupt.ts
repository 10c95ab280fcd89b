// SIGINT and SIGTERM as an AbortSignal, for commands that have something to give back before they end.

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
  const onSignal = (): void => {
    controller.abort(new Interrupted("context canceled"));
    resolve();
  };
  process.on("SIGINT", onSignal);
  process.on("SIGTERM", onSignal);
  return {
    signal: controller.signal,
    received,
    [Symbol.dispose]: () => {
      process.off("SIGINT", onSignal);
      process.off("SIGTERM", onSignal);
    },
  };
}
