// Many calls may share one signal, and each wants to hear of it. Event targets complain about more than ten
// listeners (rightly: it is mostly a leak), and adding and removing them is slow. So each signal gets one
// listener of ours, as long as anybody here waits, and passes it on.

import type { AbortSignalLike } from "./options.ts";

const fans: WeakMap<AbortSignalLike, SignalFan> = new WeakMap();

/** The same signal, cheap to listen to. */
export function fanOut(signal: AbortSignalLike): AbortSignalLike;
export function fanOut(signal: AbortSignalLike | undefined): AbortSignalLike | undefined;
export function fanOut(signal: AbortSignalLike | undefined): AbortSignalLike | undefined {
  if (signal === undefined || signal instanceof SignalFan) return signal;
  let fan = fans.get(signal);
  if (fan === undefined) {
    fan = new SignalFan(signal);
    fans.set(signal, fan);
  }
  return fan;
}

class SignalFan implements AbortSignalLike {
  readonly #signal: AbortSignalLike;
  readonly #listeners = new Set<() => void>();
  readonly #onAbort = (): void => {
    const listeners = [...this.#listeners];
    this.#listeners.clear();
    for (const listener of listeners) listener();
  };

  constructor(signal: AbortSignalLike) {
    this.#signal = signal;
  }

  get aborted(): boolean {
    return this.#signal.aborted;
  }

  get reason(): unknown {
    return this.#signal.reason;
  }

  addEventListener(_type: "abort", listener: () => void): void {
    if (this.#listeners.size === 0) this.#signal.addEventListener("abort", this.#onAbort);
    this.#listeners.add(listener);
  }

  removeEventListener(_type: "abort", listener: () => void): void {
    if (!this.#listeners.delete(listener)) return;
    if (this.#listeners.size === 0) this.#signal.removeEventListener("abort", this.#onAbort);
  }
}
