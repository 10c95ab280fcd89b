// Watches as a part of the member: the hub, and the streams of clients.

import { allocateBytes, type Bytes, type Key } from "@etcd-ts/base";
import { HeaderEncoder, type KvEvent } from "@etcd-ts/machine";
import { catalogue } from "../errors.ts";
import { counter, gauge } from "../metrics/families.ts";
import type { MemberContext, MemberPart } from "../seams.ts";
import { WatchHub } from "./hub.ts";
import type { WatchHistory, WatchSource } from "./source.ts";
import { WatchStream } from "./stream.ts";

/** How much larger than a request the response of a fragmenting watcher may be. */
const fragmentSlackBytes = 512 * 1024;

export function createWatchPart(context: MemberContext): MemberPart {
  const source = new MachineSource(context);
  const streams = new Set<WatchStream>();
  const hub = new WatchHub(
    source,
    { start: (job) => context.slicer.run(job, { done: () => undefined, failed: context.fatal }) },
    { fragmentBytes: context.config.maxRequestBytes + fragmentSlackBytes },
  );
  const streamOptions = {
    hub,
    source,
    timers: context.host.timers,
    random: context.host.random,
    progressIntervalMs: context.config.watchProgressNotifyMs,
    onClose: (stream: WatchStream) => {
      streams.delete(stream);
    },
  };
  return {
    methods: {
      "/etcdserverpb.Watch/Watch": context.gate.stream("bidi_stream", (call) => {
        const stream = new WatchStream(call, streamOptions);
        streams.add(stream);
        return stream;
      }),
    },
    metrics: [
      counter(
        "etcd_debugging_mvcc_events_total",
        "Total number of events sent by this member.",
        () => hub.eventCount,
      ),
      gauge(
        "etcd_debugging_mvcc_slow_watcher_total",
        "Total number of unsynced slow watchers.",
        () => hub.behindCount,
      ),
      gauge(
        "etcd_debugging_mvcc_watch_stream_total",
        "Total number of watch streams.",
        () => streams.size,
      ),
      gauge(
        "etcd_debugging_mvcc_watcher_total",
        "Total number of watchers.",
        () => hub.watcherCount,
      ),
    ],
    changed: (revision, events) => hub.changed(revision, events),
    turnEnded: () => hub.flush(),
    stateReplaced: () => hub.stateReplaced(),
    stop: () => {
      for (const stream of [...streams])
        stream.fail(catalogue.stopped.code, catalogue.stopped.message);
    },
  };
}

class MachineSource implements WatchSource {
  readonly #context: MemberContext;
  readonly #encoder: HeaderEncoder;

  constructor(context: MemberContext) {
    this.#context = context;
    this.#encoder = new HeaderEncoder(context.clusterId, context.memberId);
  }

  get revision(): number {
    return this.#context.machine.revision;
  }

  get compactRevision(): number {
    return this.#context.machine.compactRevision;
  }

  previousKv(event: KvEvent): Bytes | undefined {
    return this.#context.machine.prevKv(event);
  }

  history(from: number, wants: (key: Key) => boolean): WatchHistory {
    return this.#context.machine.events(from, wants);
  }

  header(revision: number): Bytes {
    const { raftTerm } = this.#context.header;
    const field = allocateBytes(this.#encoder.size(revision, raftTerm));
    this.#encoder.write(field, 0, revision, raftTerm);
    return field;
  }
}
