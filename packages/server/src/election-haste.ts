// How the first election comes about without waiting for more than it must.
//
// A voter that is alone has nobody to wait for: it stands for election as soon as it has applied what is
// committed. Others let most of their first election timeout pass at once as soon as they are connected to
// anybody, and leave two ticks in which a leader, if there is one, can make itself heard. Who is connected
// to nobody gains nothing by being early.

import type { Host } from "@etcd-ts/base";
import type { MemberConfig } from "./config.ts";
import { hexId } from "./ids.ts";
import type { Replica } from "./replica.ts";

/** Connected to nobody for so long, an election can wait for its timeout. */
const waitMs = 5000;

export interface HasteParts {
  readonly host: Host;
  readonly config: MemberConfig;
  readonly memberId: bigint;
  readonly replica: Replica;
  /** This member is the only one. */
  readonly isAlone: boolean;
  /** Other members to which there is a connection. */
  readonly activeCount: () => number;
}

export class ElectionHaste {
  readonly #parts: HasteParts;
  #untilMs = 0;

  constructor(parts: HasteParts) {
    this.#parts = parts;
  }

  start(): void {
    const { host, config, memberId, replica, isAlone } = this.#parts;
    if (isAlone) {
      const ticks = config.electionTicks - 1;
      host.log.info("started as single-node; fast-forwarding election ticks", {
        "local-member-id": hexId(memberId),
        "forward-ticks": ticks,
        "forward-duration": `${ticks * config.heartbeatMs}ms`,
        "election-ticks": config.electionTicks,
        "election-timeout": `${config.electionMs / 1000}s`,
      });
      replica.campaignWhenSettled();
    } else if (config.initialElectionTickAdvance) {
      this.#untilMs = host.clock.monotonicMs() + waitMs;
    } else {
      host.log.info("skipping initial election tick advance", {
        "election-ticks": config.electionTicks,
      });
    }
  }

  /** At the end of a turn; turns come with every tick. */
  turnEnded(): void {
    if (this.#untilMs === 0) return;
    const { host, config, memberId, replica, activeCount } = this.#parts;
    const active = activeCount();
    if (active === 0 && host.clock.monotonicMs() < this.#untilMs) return;
    this.#untilMs = 0;
    const ticks = config.electionTicks - 2;
    if (active === 0 || replica.leader !== 0n || ticks <= 0) return;
    host.log.info("initialized peer connections; fast-forwarding election ticks", {
      "local-member-id": hexId(memberId),
      "forward-ticks": ticks,
      "forward-duration": `${ticks * config.heartbeatMs}ms`,
      "election-ticks": config.electionTicks,
      "election-timeout": `${config.electionMs / 1000}s`,
      "active-remote-members": active,
    });
    replica.advanceTicks(ticks);
  }
}
