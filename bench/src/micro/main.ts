import { choose, type Options } from "../options.ts";
import { microBenchmarks } from "./all.ts";
import { type MicroFigure, measureMicro } from "./micro-benchmark.ts";

const passMs = 100;
const quickPassMs = 10;

export async function runMicro(options: Options): Promise<number> {
  const chosen = choose(microBenchmarks, options.names, "micro-benchmark");
  for (const benchmark of chosen) {
    const figure = await measureMicro(benchmark, options.quick ? quickPassMs : passMs);
    process.stdout.write(`${figureLine(figure)}\n`);
  }
  return 0;
}

export function figureLine(figure: MicroFigure): string {
  const { nanoseconds, fastest, slowest, plain } = figure;
  const own = `${time(nanoseconds).padStart(9)} (${time(fastest)}–${time(slowest)}) per ${figure.unit}`;
  const comparison =
    plain === undefined
      ? ""
      : `; ${plain.what} ${time(plain.nanoseconds)}, ${(plain.nanoseconds / nanoseconds).toFixed(1)} times as long`;
  return `${figure.name.padEnd(20)} ${own}${comparison}`;
}

function time(nanoseconds: number): string {
  if (nanoseconds >= 1e6) return `${(nanoseconds / 1e6).toFixed(2)} ms`;
  if (nanoseconds >= 1e3) return `${(nanoseconds / 1e3).toFixed(2)} µs`;
  return `${nanoseconds.toFixed(nanoseconds >= 100 ? 0 : 1)} ns`;
}
