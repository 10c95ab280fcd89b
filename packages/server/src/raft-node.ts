// The raft node of a member: etcd's settings, and its log lines under etcd's logger name.

import type { Host, Log } from "@etcd-ts/base";
import { LogLevel, type RaftLogger, RawNode } from "@etcd-ts/raft";
import type { OpenedMember } from "./open-member.ts";

const messageBytesMax = 1 << 20;
const inflightMessagesMax = 512;
/** Less than what waits for a slow peer at most (`peers/stream-writer.ts`): raft holds back before messages get lost. */
const inflightBytesMax = 32 << 20;

export function newRaft(host: Host, opened: OpenedMember): RawNode {
  const { config, machine } = opened;
  return new RawNode({
    id: opened.memberId,
    log: opened.log,
    random: host.random,
    logger: raftLogger(host.log),
    electionTicks: config.electionTicks,
    heartbeatTicks: 1,
    applied: machine.appliedIndex,
    asyncStorageWrites: true,
    messageBytesMax,
    inflightMessagesMax,
    inflightBytesMax,
    checkQuorum: true,
    preVote: config.preVote,
  });
}

function raftLogger(log: Log): RaftLogger {
  const raft = log.named("raft");
  return {
    level: LogLevel.info,
    write(level, text) {
      if (level >= LogLevel.error) raft.error(text);
      else if (level === LogLevel.warn) raft.warn(text);
      // Ordinary with asynchronous writes: two appends in a row may report the same last entry.
      else if (text.startsWith("entry at ")) raft.debug(text);
      else raft.info(text);
    },
  };
}
