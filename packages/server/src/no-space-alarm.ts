// Raises this member's NOSPACE alarm through the log: once at a time, and not while it is on.

import { AlarmAction, AlarmRequest, AlarmType, encodeAlarmRequest } from "@etcd-ts/api";
import type { ApplyOutcome } from "@etcd-ts/machine";
import { Operation } from "./envelope.ts";
import { hexId } from "./ids.ts";
import { Proposal } from "./proposals.ts";
import type { Refusal } from "./refusals.ts";
import type { MemberContext } from "./seams.ts";

export class NoSpaceAlarm {
  readonly #context: MemberContext;
  #isRaising = false;

  constructor(context: MemberContext) {
    this.#context = context;
  }

  raise(): void {
    const { machine, memberId, host, quota, isStopping } = this.#context;
    if (this.#isRaising || isStopping) return;
    const alarms = machine.alarms.list(AlarmType.NOSPACE);
    if (alarms.some((alarm) => alarm.memberId === memberId)) return;
    this.#isRaising = true;
    host.log.warn("database space exceeded, raising alarm NOSPACE", {
      "local-member-id": hexId(memberId),
      "quota-size-bytes": quota.limitBytes,
    });
    const request = new AlarmRequest();
    request.action = AlarmAction.ACTIVATE;
    request.memberId = memberId;
    request.alarm = AlarmType.NOSPACE;
    const ended = () => {
      this.#isRaising = false;
    };
    this.#context.propose(Operation.alarm, encodeAlarmRequest(request), new Ending(ended));
  }
}

/** Only wants to know that it is over. */
class Ending extends Proposal {
  readonly #ended: () => void;

  constructor(ended: () => void) {
    super();
    this.#ended = ended;
  }

  override applied(_outcome: ApplyOutcome): void {
    this.#ended();
  }

  override refused(_refusal: Refusal): void {
    this.#ended();
  }
}
