// Environment of scenarios in which nodes interact: every step is a command, and messages wait in one list
// until they are delivered or dropped.

import { emptyBytes, SeededRandom, utf8ToBytes } from "@etcd-ts/base";
import {
  ConfChange,
  ConfChangeTransition,
  ConfChangeV2,
  ConfState,
  describeEntries,
  describeMessage,
  type Entry,
  isStorageThread,
  Message,
  MessageType,
  messageTypeNames,
  type RaftConfig,
  RaftConfigError,
  roleNames,
  type StepResult,
  stepResultText,
} from "../../src/index.ts";
import {
  bareArgument,
  bareNumbers,
  type Directive,
  namedValue,
  parseBoolean,
  parseId,
  parseInteger,
  ScenarioError,
} from "./grammar.ts";
import { parseOperations } from "./operations.ts";
import { Output } from "./output.ts";
import { CommandError, makeSnapshot, ScenarioNode } from "./scenario-node.ts";

export const interactionCommands: readonly string[] = [
  "_breakpoint",
  "add-nodes",
  "campaign",
  "compact",
  "deliver-msgs",
  "process-ready",
  "process-append-thread",
  "process-apply-thread",
  "log-level",
  "raft-log",
  "raft-state",
  "set-randomized-election-timeout",
  "stabilize",
  "status",
  "tick-election",
  "tick-heartbeat",
  "transfer-leadership",
  "forget-leader",
  "send-snapshot",
  "propose",
  "propose-conf-change",
  "report-unreachable",
];

const electionTicks = 3;
const heartbeatTicks = 1;
const roundsMax = 10_000;

type Settings = { -readonly [Key in keyof RaftConfig]?: RaftConfig[Key] };

export class InteractionScenario {
  readonly #output = new Output();
  readonly #nodes: ScenarioNode[] = [];
  /** In the order in which they were sent. */
  #messages: Message[] = [];

  run(directive: Directive): string {
    this.#output.clear();
    try {
      this.#dispatch(directive);
    } catch (error) {
      if (!(error instanceof CommandError)) throw error;
      if (this.#output.quiet) return error.message;
      this.#output.print(error.message);
    }
    return this.#output.text === "" ? "ok" : this.#output.text;
  }

  #dispatch(directive: Directive): void {
    switch (directive.command) {
      case "_breakpoint":
        return;
      case "add-nodes":
        this.#addNodes(directive);
        return;
      case "campaign":
        check(this.#firstNode(directive).raw.campaign());
        return;
      case "compact":
        this.#compact(directive);
        return;
      case "deliver-msgs":
        this.#deliverMessages(directive);
        return;
      case "process-ready":
        this.#forEach(directive, "handling Ready", (node) => this.#send(node.processReady()));
        return;
      case "process-append-thread":
        this.#forEach(directive, "processing append thread", (node) =>
          this.#send(node.processAppend()),
        );
        return;
      case "process-apply-thread":
        this.#forEach(directive, "processing apply thread", (node) =>
          this.#send(node.processApply()),
        );
        return;
      case "log-level":
        this.#setLevel(bareArgument(directive, 0));
        return;
      case "raft-log":
        this.#printLog(this.#firstNode(directive));
        return;
      case "raft-state":
        this.#printStates();
        return;
      case "set-randomized-election-timeout": {
        const timeout = namedValue(directive, "timeout");
        if (timeout === undefined) throw new ScenarioError("timeout= is missing");
        this.#firstNode(directive).raw.setElectionTimeout(parseInteger(timeout));
        return;
      }
      case "stabilize":
        this.#stabilizeCommand(directive);
        return;
      case "status":
        for (const [id, progress] of this.#firstNode(directive).raw.status().progress) {
          this.#output.print(`${id}: ${progress.text}\n`);
        }
        return;
      case "tick-election":
        this.#tick(this.#firstNode(directive), electionTicks);
        return;
      case "tick-heartbeat":
        this.#tick(this.#firstNode(directive), heartbeatTicks);
        return;
      case "transfer-leadership": {
        const from = this.#node(parseInteger(namedValue(directive, "from") ?? ""));
        const to = this.#node(parseInteger(namedValue(directive, "to") ?? ""));
        check(from.raw.transferLeader(to.id));
        return;
      }
      case "forget-leader":
        check(this.#firstNode(directive).raw.forgetLeader());
        return;
      case "send-snapshot":
        this.#sendSnapshot(directive);
        return;
      case "propose":
        if (directive.args.length !== 2) throw new ScenarioError("one value is proposed");
        check(this.#firstNode(directive).raw.propose([utf8ToBytes(bareArgument(directive, 1))]));
        return;
      case "propose-conf-change":
        this.#proposeConfChange(directive);
        return;
      case "report-unreachable": {
        const numbers = bareNumbers(directive);
        if (numbers.length !== 2) {
          throw new CommandError(
            "must specify exactly two node indexes: node on which to report, and reported node",
          );
        }
        this.#node(numbers[0]!).raw.reportUnreachable(this.#node(numbers[1]!).id);
        return;
      }
      default:
        throw new CommandError("unknown command");
    }
  }

  // --- nodes --------------------------------------------------------------------------------------

  #addNodes(directive: Directive): void {
    const count = parseInteger(bareArgument(directive, 0));
    const settings: Settings = {};
    const confState = new ConfState();
    let index = 0;
    let data: Uint8Array = emptyBytes;
    let hasSnapshot = false;
    for (const { key, values } of directive.args.slice(1)) {
      for (const value of values) {
        switch (key) {
          case "voters":
            confState.voters.push(parseId(value));
            hasSnapshot = true;
            break;
          case "learners":
            confState.learners.push(parseId(value));
            hasSnapshot = true;
            break;
          case "index":
            index = parseInteger(value);
            settings.applied = index;
            if (index !== 0) hasSnapshot = true;
            break;
          case "content":
            data = utf8ToBytes(value);
            if (data.length > 0) hasSnapshot = true;
            break;
          case "inflight":
            settings.inflightMessagesMax = parseInteger(value);
            break;
          case "async-storage-writes":
            settings.asyncStorageWrites = parseBoolean(value);
            break;
          case "prevote":
            settings.preVote = parseBoolean(value);
            break;
          case "checkquorum":
            settings.checkQuorum = parseBoolean(value);
            break;
          case "max-committed-size-per-ready":
            settings.applyBytesMax = parseInteger(value);
            break;
          case "disable-conf-change-validation":
            settings.validateConfChanges = !parseBoolean(value);
            break;
          case "step-down-on-removal":
            settings.stepDownOnRemoval = parseBoolean(value);
            break;
          case "read-only":
            if (value !== "safe" && value !== "lease-based") {
              throw new CommandError(`invalid read-only option "${value}"`);
            }
            settings.readMode = value === "safe" ? "safe" : "lease";
            break;
          default:
            // Upstream's environment looks at what it knows and at nothing else.
            break;
        }
      }
    }
    if (hasSnapshot && index <= 1 && count > 0) {
      throw new CommandError("index must be specified as > 1 due to bootstrap");
    }
    const term = hasSnapshot ? 1 : 0;
    const snapshot = makeSnapshot({ index, term, confState, data });
    for (let i = 0; i < count; i++) {
      const id = BigInt(this.#nodes.length + 1);
      const config = {
        electionTicks,
        heartbeatTicks,
        inflightMessagesMax: 2 ** 31 - 1,
        earlyVoteRequests: true,
        ...settings,
        id,
        random: new SeededRandom(Number(id)),
      };
      try {
        this.#nodes.push(new ScenarioNode(config, snapshot, this.#output));
      } catch (error) {
        if (error instanceof RaftConfigError) throw new CommandError(error.message);
        throw error;
      }
    }
  }

  #node(number: number): ScenarioNode {
    const node = this.#nodes[number - 1];
    if (node === undefined) throw new ScenarioError(`there is no node ${number}`);
    return node;
  }

  #firstNode(directive: Directive): ScenarioNode {
    return this.#node(parseInteger(bareArgument(directive, 0)));
  }

  #tick(node: ScenarioNode, count: number): void {
    for (let i = 0; i < count; i++) node.raw.tick();
  }

  #setLevel(name: string): void {
    if (!this.#output.setLevel(name)) throw new CommandError(Output.levelError);
  }

  // --- inspection ---------------------------------------------------------------------------------

  #printLog(node: ScenarioNode): void {
    const first = node.log.firstIndex();
    const last = node.log.lastIndex();
    if (last < first) {
      this.#output.print(`log is empty: first index=${first}, last index=${last}`);
      return;
    }
    const entries = node.log.entries(first, last + 1, Number.POSITIVE_INFINITY);
    this.#output.print(describeEntries(entries as Entry[]));
  }

  #printStates(): void {
    for (const node of this.#nodes) {
      const { id, role, term, lead, configuration } = node.raw.status();
      const voter = configuration.isVoter(id) ? "(Voter)" : "(Non-Voter)";
      this.#output.print(`${id}: ${roleNames[role]} ${voter} Term:${term} Lead:${lead}\n`);
    }
  }

  #compact(directive: Directive): void {
    const node = this.#firstNode(directive);
    if (!node.log.compact(parseInteger(bareArgument(directive, 1)))) {
      throw new CommandError("requested index is unavailable due to compaction");
    }
    this.#printLog(node);
  }

  // --- messages -----------------------------------------------------------------------------------

  #deliverMessages(directive: Directive): void {
    let type: number | undefined;
    const recipients: { id: bigint; drop: boolean }[] = [];
    for (const { key, values } of directive.args) {
      if (values.length === 0) recipients.push({ id: parseId(key), drop: false });
      for (const value of values) {
        if (key === "drop") {
          const id = parseId(value);
          if (recipients.some((recipient) => recipient.id === id)) {
            throw new ScenarioError(`can't both deliver and drop msgs to ${id}`);
          }
          recipients.push({ id, drop: true });
        } else if (key === "type") {
          type = messageTypeNames.indexOf(value);
          if (type < 0) throw new ScenarioError(`unknown message type ${value}`);
        }
      }
    }
    let count = 0;
    for (const { id, drop } of recipients) count += this.#deliver(id, type, drop);
    if (count === 0) this.#output.print("no messages\n");
  }

  /** Gives back the number of messages. */
  #deliver(to: bigint, type: number | undefined, drop: boolean): number {
    const chosen: Message[] = [];
    const rest: Message[] = [];
    for (const message of this.#messages) {
      const wanted =
        message.to === to &&
        !(drop && isInternal(message)) &&
        (type === undefined || message.type === type);
      (wanted ? chosen : rest).push(message);
    }
    this.#messages = rest;
    for (const message of chosen) {
      this.#output.print(`${drop ? "dropped: " : ""}${describeMessage(message)}\n`);
      if (drop) continue;
      const result = this.#node(Number(to)).raw.step(message);
      if (result !== "ok") this.#output.print(`${stepResultText(result)}\n`);
    }
    return chosen.length;
  }

  #sendSnapshot(directive: Directive): void {
    const from = this.#firstNode(directive);
    const to = this.#node(parseInteger(bareArgument(directive, 1)));
    const message = new Message();
    message.type = MessageType.MsgSnap;
    message.term = from.raw.basicStatus().term;
    message.from = from.id;
    message.to = to.id;
    message.snapshot = from.log.snapshot();
    this.#messages.push(message);
    this.#output.print(describeMessage(message));
  }

  // --- proposals ----------------------------------------------------------------------------------

  #proposeConfChange(directive: Directive): void {
    const node = this.#firstNode(directive);
    let v1 = false;
    let transition: number = ConfChangeTransition.Auto;
    for (const { key, values } of directive.args.slice(1)) {
      for (const value of values) {
        if (key === "v1") {
          v1 = parseConfChangeForm(value);
        } else if (key !== "transition") {
          throw new CommandError(`unknown command ${key}`);
        } else if (value === "auto") {
          transition = ConfChangeTransition.Auto;
        } else if (value === "implicit") {
          transition = ConfChangeTransition.JointImplicit;
        } else if (value === "explicit") {
          transition = ConfChangeTransition.JointExplicit;
        } else {
          throw new CommandError(`unknown transition ${value}`);
        }
      }
    }
    const changes = parseOperations(directive.input);
    if (typeof changes === "string") throw new CommandError(changes);
    if (v1) {
      if (changes.length > 1 || transition !== ConfChangeTransition.Auto) {
        throw new CommandError("v1 conf change can only have one operation and no transition");
      }
      if (changes.length === 0) throw new ScenarioError("a v1 conf change has one operation");
      const change = new ConfChange();
      change.type = changes[0]!.type;
      change.nodeId = changes[0]!.nodeId;
      check(node.raw.proposeConfChange(change));
    } else {
      const change = new ConfChangeV2();
      change.transition = transition;
      change.changes = changes;
      check(node.raw.proposeConfChange(change));
    }
  }

  // --- work ---------------------------------------------------------------------------------------

  #forEach(directive: Directive, what: string, work: (node: ScenarioNode) => void): void {
    const numbers = bareNumbers(directive);
    for (const number of numbers) {
      const node = this.#node(number);
      if (numbers.length > 1) this.#headed(node, what, () => work(node));
      else work(node);
    }
  }

  #headed(node: ScenarioNode, what: string, work: () => void): void {
    this.#output.print(`> ${node.id} ${what}\n`);
    this.#output.indented(work);
  }

  #send(messages: readonly Message[]): void {
    for (const message of messages) this.#messages.push(message);
  }

  #stabilizeCommand(directive: Directive): void {
    const numbers = bareNumbers(directive);
    const nodes = numbers.length > 0 ? numbers.map((n) => this.#node(n)) : [...this.#nodes];
    const { level } = this.#output;
    const wanted = namedValue(directive, "log-level");
    if (wanted !== undefined) this.#setLevel(wanted);
    try {
      for (let round = 0; this.#stabilizeRound(nodes); round++) {
        if (round === roundsMax) throw new ScenarioError("the nodes do not come to rest");
      }
    } finally {
      this.#output.level = level;
    }
  }

  /** Whether anything happened. */
  #stabilizeRound(nodes: readonly ScenarioNode[]): boolean {
    let busy = false;
    for (const node of nodes) {
      if (!node.raw.hasReady()) continue;
      this.#headed(node, "handling Ready", () => this.#send(node.processReady()));
      busy = true;
    }
    for (const node of nodes) {
      if (!this.#messages.some((message) => message.to === node.id)) continue;
      this.#headed(node, "receiving messages", () => this.#deliver(node.id, undefined, false));
      busy = true;
    }
    for (const node of nodes) {
      if (node.appendWork.length === 0) continue;
      this.#headed(node, "processing append thread", () => {
        while (node.appendWork.length > 0) this.#send(node.processAppend());
      });
      busy = true;
    }
    for (const node of nodes) {
      if (node.applyWork.length === 0) continue;
      this.#headed(node, "processing apply thread", () => {
        while (node.applyWork.length > 0) this.#send(node.processApply());
      });
      busy = true;
    }
    return busy;
  }
}

/** Travels within one node, so that no network can lose it. */
function isInternal(message: Message): boolean {
  return (
    message.from === message.to || isStorageThread(message.from) || isStorageThread(message.to)
  );
}

/** Unlike other arguments, one that is no boolean is an error within the scenario. */
function parseConfChangeForm(value: string): boolean {
  try {
    return parseBoolean(value);
  } catch {
    throw new CommandError(`strconv.ParseBool: parsing ${JSON.stringify(value)}: invalid syntax`);
  }
}

function check(result: StepResult): void {
  if (result !== "ok") throw new CommandError(stepResultText(result));
}
