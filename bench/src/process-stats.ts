// What the operating system says of a process: CPU time, memory. Linux only (`/proc`).

import { readFileSync } from "node:fs";

/** Clock ticks of `/proc/PID/stat`; 100 a second on every Linux that Node runs on. */
const tickMs = 10;

export interface ProcessStats {
  /** User and system time since the process began. */
  readonly cpuMs: number;
  readonly residentBytes: number;
  readonly peakResidentBytes: number;
}

export function processStats(pid: number): ProcessStats {
  const stat = readFileSync(`/proc/${pid}/stat`, "utf8");
  // The name of the program stands in parentheses and may hold spaces; fields count from behind it.
  const fields = stat.slice(stat.lastIndexOf(")") + 2).split(" ");
  const status = readFileSync(`/proc/${pid}/status`, "utf8");
  const kibibytes = (name: string): number => {
    const found = new RegExp(`^${name}:\\s+(\\d+) kB`, "m").exec(status);
    return Number(found?.[1] ?? 0) * 1024;
  };
  return {
    cpuMs: (Number(fields[11]) + Number(fields[12])) * tickMs,
    residentBytes: kibibytes("VmRSS"),
    peakResidentBytes: kibibytes("VmHWM"),
  };
}
