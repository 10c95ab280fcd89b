// What the operating system says of a process: CPU time, memory. Linux only (`/proc`).

import { readFileSync } from "node:fs";

/** Clock ticks of `/proc/PID/stat`; 100 a second on every Linux that Node runs on. */
const tickMs = 10;

export interface ProcessStats {
  /** User and system time of all its threads since the process began. */
  readonly cpuMs: number;
  readonly residentBytes: number;
  /** Without mapped files: what the process would need if the kernel took back all pages that are on disk. */
  readonly anonymousBytes: number;
  readonly peakResidentBytes: number;
}

export function processStats(pid: number): ProcessStats {
  const stat = readFileSync(`/proc/${pid}/stat`, "utf8");
  const status = readFileSync(`/proc/${pid}/status`, "utf8");
  return parseProcessStats(stat, status);
}

export function parseProcessStats(stat: string, status: string): ProcessStats {
  // The name of the program stands in parentheses and may hold spaces; fields count from behind it.
  const fields = stat.slice(stat.lastIndexOf(")") + 2).split(" ");
  const kibibytes = (name: string): number => {
    const found = new RegExp(`^${name}:\\s+(\\d+) kB`, "m").exec(status);
    return Number(found?.[1] ?? 0) * 1024;
  };
  return {
    cpuMs: (Number(fields[11]) + Number(fields[12])) * tickMs,
    residentBytes: kibibytes("VmRSS"),
    anonymousBytes: kibibytes("RssAnon"),
    peakResidentBytes: kibibytes("VmHWM"),
  };
}

/** The sum over several processes, such as the members of a cluster. */
export function sumOfStats(pids: readonly number[]): ProcessStats {
  const all = pids.map(processStats);
  const sum = (of: (stats: ProcessStats) => number): number =>
    all.reduce((total, stats) => total + of(stats), 0);
  return {
    cpuMs: sum((it) => it.cpuMs),
    residentBytes: sum((it) => it.residentBytes),
    anonymousBytes: sum((it) => it.anonymousBytes),
    peakResidentBytes: sum((it) => it.peakResidentBytes),
  };
}

/** CPU time that all processes of the machine have used: not idle, not waiting for a disk. */
export function machineBusyMs(): number {
  return parseMachineBusyMs(readFileSync("/proc/stat", "utf8"));
}

export function parseMachineBusyMs(text: string): number {
  // cpu  user nice system idle iowait irq softirq steal guest guest_nice; guests are within user and nice.
  const fields = (/^cpu +(.*)$/m.exec(text)?.[1] ?? "").split(" ").map(Number);
  const busy = [0, 1, 2, 5, 6, 7].reduce((total, field) => total + (fields[field] ?? 0), 0);
  return busy * tickMs;
}
