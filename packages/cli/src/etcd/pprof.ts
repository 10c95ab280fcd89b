// `--enable-pprof`: the CPU and the heap of the running server under `/debug/pprof/`, in pprof's own format.
// V8 takes the samples; its profiler is reached inside the process, no debugger port is opened. Loaded only
// when the flag is set.

import type { HeapProfiler, Profiler as V8 } from "node:inspector";
import { Session } from "node:inspector/promises";
import { gzipSync } from "node:zlib";
import type { Host } from "@etcd-ts/base";
import type { FrontAnswer, FrontRequest } from "./http-front.ts";
import { encodeProfile, type Frame, type ProfileSample } from "./pprof-encoding.ts";

const sampleIntervalUs = 1000;
/** An allocation is sampled about once in so many bytes, as Go does it. */
const heapIntervalBytes = 512 * 1024;
const secondsDefault = 30;
const secondsMax = 600;
const root = "/debug/pprof";

const plainText = { "Content-Type": "text/plain; charset=utf-8" } as const;

export class Profiles {
  readonly #host: Pick<Host, "clock" | "timers">;
  readonly #session = new Session();
  readonly #startedMs: number;
  #isProfiling = false;

  private constructor(host: Pick<Host, "clock" | "timers">) {
    this.#host = host;
    this.#startedMs = host.clock.monotonicMs();
    this.#session.connect();
  }

  /** From here on allocations are sampled. */
  static async start(host: Pick<Host, "clock" | "timers">): Promise<Profiles> {
    const profiles = new Profiles(host);
    await profiles.#session.post("HeapProfiler.startSampling", {
      samplingInterval: heapIntervalBytes,
    });
    await profiles.#session.post("Profiler.enable");
    await profiles.#session.post("Profiler.setSamplingInterval", { interval: sampleIntervalUs });
    return profiles;
  }

  /** Undefined: the path is none of ours. */
  async handle({ target }: Pick<FrontRequest, "target">): Promise<FrontAnswer | undefined> {
    const url = new URL(target, "http://member");
    switch (url.pathname) {
      case root:
      case `${root}/`:
        return { status: 200, headers: { "Content-Type": "text/html; charset=utf-8" }, body: page };
      case `${root}/cmdline`:
        return { status: 200, headers: plainText, body: process.argv.slice(1).join("\0") };
      case `${root}/profile`:
        return await this.#profile(url.searchParams.get("seconds"));
      case `${root}/heap`:
      case `${root}/allocs`:
        return await this.#heap();
      default:
        return undefined;
    }
  }

  stop(): void {
    this.#session.disconnect();
  }

  async #profile(wanted: string | null): Promise<FrontAnswer> {
    const given = Number(wanted ?? secondsDefault);
    const seconds = given > 0 ? Math.min(given, secondsMax) : secondsDefault;
    if (this.#isProfiling) {
      const body = "Could not enable CPU profiling: cpu profiling already in use\n";
      return { status: 500, headers: plainText, body };
    }
    this.#isProfiling = true;
    try {
      const wallMs = this.#host.clock.wallMs();
      await this.#session.post("Profiler.start");
      await new Promise<void>((resolve) => this.#host.timers.after(seconds * 1000, resolve));
      const { profile } = await this.#session.post("Profiler.stop");
      const content = encodeProfile({
        sampleTypes: [
          ["samples", "count"],
          ["cpu", "nanoseconds"],
        ],
        samples: cpuSamples(profile),
        periodType: ["cpu", "nanoseconds"],
        period: sampleIntervalUs * 1000,
        wallMs,
        durationMs: (profile.endTime - profile.startTime) / 1000,
      });
      return download("profile", content);
    } finally {
      this.#isProfiling = false;
    }
  }

  async #heap(): Promise<FrontAnswer> {
    const { profile } = await this.#session.post("HeapProfiler.getSamplingProfile");
    const content = encodeProfile({
      sampleTypes: [["inuse_space", "bytes"]],
      samples: heapSamples(profile.head),
      periodType: ["space", "bytes"],
      period: heapIntervalBytes,
      wallMs: this.#host.clock.wallMs(),
      durationMs: this.#host.clock.monotonicMs() - this.#startedMs,
    });
    return download("heap", content);
  }
}

function download(name: string, content: Uint8Array): FrontAnswer {
  const headers = {
    "Content-Type": "application/octet-stream",
    "Content-Disposition": `attachment; filename="${name}"`,
    "X-Content-Type-Options": "nosniff",
  };
  return { status: 200, headers, body: gzipSync(content) };
}

/** Time spent in each stack. The time between two samples belongs to the first of them. */
function cpuSamples(profile: V8.Profile): ProfileSample[] {
  const nodes = new Map(profile.nodes.map((node) => [node.id, node]));
  const parents = new Map<number, number>();
  for (const node of profile.nodes)
    for (const child of node.children ?? []) parents.set(child, node.id);
  const counts = new Map<number, { count: number; microseconds: number }>();
  const ids = profile.samples ?? [];
  const deltas = profile.timeDeltas ?? [];
  for (let i = 0; i < ids.length; i++) {
    const id = ids[i] as number;
    const sum = counts.get(id) ?? { count: 0, microseconds: 0 };
    sum.count += 1;
    sum.microseconds += Math.max(0, deltas[i + 1] ?? sampleIntervalUs);
    counts.set(id, sum);
  }
  const samples: ProfileSample[] = [];
  for (const [id, { count, microseconds }] of counts) {
    const frames: Frame[] = [];
    for (let at: number | undefined = id; at !== undefined; at = parents.get(at)) {
      const frame = nodes.get(at)?.callFrame;
      if (frame !== undefined && frame.functionName !== "(root)") frames.push(frame);
    }
    // Waiting is no work.
    if (frames[0]?.functionName !== "(idle)")
      samples.push({ frames, values: [count, microseconds * 1000] });
  }
  return samples;
}

function heapSamples(head: HeapProfiler.SamplingHeapProfileNode): ProfileSample[] {
  const samples: ProfileSample[] = [];
  const waiting: { node: HeapProfiler.SamplingHeapProfileNode; above: readonly Frame[] }[] = [
    { node: head, above: [] },
  ];
  for (let next = waiting.pop(); next !== undefined; next = waiting.pop()) {
    const { node, above } = next;
    const frames = node.callFrame.functionName === "(root)" ? above : [node.callFrame, ...above];
    if (node.selfSize > 0) samples.push({ frames, values: [node.selfSize] });
    for (const child of node.children) waiting.push({ node: child, above: frames });
  }
  return samples;
}

const page = `<!doctype html>
<title>/debug/pprof/</title>
<h1>/debug/pprof/</h1>
<p>Profiles in the format of pprof: <code>go tool pprof http://member:2379/debug/pprof/profile</code></p>
<ul>
<li><a href="profile?seconds=30">profile</a>: where CPU time goes, for 30 seconds or as many as <code>seconds</code> says
<li><a href="heap">heap</a>: who allocated what is in the JavaScript heap, sampled since the start
<li><a href="cmdline">cmdline</a>: the command line
</ul>
<p>There is nothing here of goroutines, threads and locks, which this server does not have.</p>
`;
