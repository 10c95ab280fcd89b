// What only the leader can answer, asked by another member for its own clients: the time of leases, and the
// promotion of a learner. The leader is found, asked at its peer URLs, and asked again 50 ms later when it
// did not answer or is no longer the one; after the time of a request nobody waits any longer. While it
// waits this member may have become the leader itself. Clients with a thousand leases ask a thousand
// questions at once: a few are on their way at a time, the others wait their turn.

import type { Host, Timer } from "@etcd-ts/base";
import { catalogue } from "./errors.ts";
import { PeerRequestError, type PeerRequests } from "./peers/index.ts";
import type { Refusal } from "./refusals.ts";

const retryMs = 50;
/** One attempt; the leader may have changed meanwhile. */
const attemptMs = 2000;
/** Questions on their way. */
const askedCountMax = 8;

export interface LeaderCallParts {
  readonly host: Host;
  readonly requests: PeerRequests | undefined;
  readonly timeoutMs: number;
  readonly isLeader: () => boolean;
  /** Peer URLs of the leader; undefined while it is not known, or not known as a member. */
  readonly leaderUrls: () => readonly string[] | undefined;
}

/** How one question is put. Undefined: no answer yet, ask again. */
export interface LeaderQuestion<T> {
  here(): Promise<T | Refusal | undefined>;
  there(
    requests: PeerRequests,
    urls: readonly string[],
    timeoutMs: number,
  ): Promise<T | Refusal | undefined>;
  /** Nobody waits for the answer any more. */
  readonly isGone?: () => boolean;
}

export class LeaderCalls {
  readonly #parts: LeaderCallParts;
  readonly #sleeping: Map<Timer, () => void> = new Map();
  #askedCount = 0;
  #inLine: (() => void)[] = [];
  #stopped = false;

  constructor(parts: LeaderCallParts) {
    this.#parts = parts;
  }

  async ask<T>(question: LeaderQuestion<T>): Promise<T | Refusal> {
    const { host, timeoutMs, isLeader, leaderUrls } = this.#parts;
    const untilMs = host.clock.monotonicMs() + timeoutMs;
    for (;;) {
      const leftMs = untilMs - host.clock.monotonicMs();
      if (this.#stopped) return catalogue.stopped;
      if (leftMs <= 0 || question.isGone?.() === true) {
        return isLeader() || leaderUrls() !== undefined ? catalogue.timeout : catalogue.noLeader;
      }
      const answer = isLeader() ? await question.here() : await this.#there(question, leftMs);
      if (answer !== undefined) return answer;
      if (!this.#stopped) await this.#sleep();
    }
  }

  /** Whoever waits hears "server stopped". */
  stop(): void {
    this.#stopped = true;
    for (const [timer, wake] of this.#sleeping) {
      timer.cancel();
      wake();
    }
    this.#sleeping.clear();
    const inLine = this.#inLine;
    this.#inLine = [];
    for (const wake of inLine) wake();
  }

  async #there<T>(question: LeaderQuestion<T>, leftMs: number): Promise<T | Refusal | undefined> {
    const { requests } = this.#parts;
    if (requests === undefined || this.#parts.leaderUrls() === undefined) return undefined;
    while (this.#askedCount >= askedCountMax && !this.#stopped) {
      await new Promise<void>((resolve) => this.#inLine.push(resolve));
    }
    const urls = this.#parts.leaderUrls();
    if (urls === undefined || this.#stopped || question.isGone?.() === true) {
      this.#inLine.shift()?.();
      return undefined;
    }
    this.#askedCount++;
    try {
      return await question.there(requests, urls, Math.min(leftMs, attemptMs));
    } catch (error) {
      if (!(error instanceof PeerRequestError)) throw error;
      return undefined; // not reached, or not understood: the next attempt may find another leader
    } finally {
      this.#askedCount--;
      this.#inLine.shift()?.();
    }
  }

  #sleep(): Promise<void> {
    return new Promise((resolve) => {
      const timer = this.#parts.host.timers.after(retryMs, () => {
        this.#sleeping.delete(timer);
        resolve();
      });
      this.#sleeping.set(timer, resolve);
    });
  }
}
