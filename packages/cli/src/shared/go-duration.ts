// Durations as Go writes and reads them: `1m30s`, `1.608114ms`, `100µs`. Held as whole nanoseconds.

import { NumberError } from "./go-number.ts";
import { quote } from "./go-quote.ts";

const unitNs: Readonly<Record<string, bigint>> = {
  ns: 1n,
  us: 1_000n,
  µs: 1_000n,
  μs: 1_000n,
  ms: 1_000_000n,
  s: 1_000_000_000n,
  m: 60_000_000_000n,
  h: 3_600_000_000_000n,
};

const maxNs = 2n ** 63n - 1n;

/** Nanoseconds; throws `NumberError` with Go's message. */
export function parseDuration(text: string): bigint {
  const invalid = () => new NumberError(`time: invalid duration ${quote(text)}`);
  const negative = text.startsWith("-");
  let rest = text.replace(/^[+-]/, "");
  if (rest === "0") return 0n;
  if (rest === "") throw invalid();
  let total = 0n;
  while (rest !== "") {
    const number = /^([0-9]*)(?:\.([0-9]*))?/.exec(rest) as RegExpExecArray;
    const whole = number[1] as string;
    const fraction = number[2] ?? "";
    if (whole === "" && fraction === "") throw invalid();
    rest = rest.slice(number[0].length);
    const unit = (/^[^0-9.]+/.exec(rest) ?? [""])[0];
    if (unit === "") throw new NumberError(`time: missing unit in duration ${quote(text)}`);
    const scale = Object.hasOwn(unitNs, unit) ? (unitNs[unit] as bigint) : undefined;
    if (scale === undefined) {
      throw new NumberError(`time: unknown unit ${quote(unit)} in duration ${quote(text)}`);
    }
    total += BigInt(whole === "" ? "0" : whole) * scale;
    if (fraction !== "") total += (BigInt(fraction) * scale) / 10n ** BigInt(fraction.length);
    if (total > maxNs) throw invalid();
    rest = rest.slice(unit.length);
  }
  return negative ? -total : total;
}

/** Go's `Duration.String`. */
export function formatDuration(ns: bigint): string {
  if (ns === 0n) return "0s";
  const sign = ns < 0n ? "-" : "";
  const size = ns < 0n ? -ns : ns;
  if (size < 1_000n) return `${sign}${size}ns`;
  if (size < 1_000_000n) return `${sign}${decimal(size, 3)}µs`;
  if (size < 1_000_000_000n) return `${sign}${decimal(size, 6)}ms`;
  const minutes = size / 60_000_000_000n;
  const seconds = `${decimal(size % 60_000_000_000n, 9)}s`;
  if (minutes === 0n) return `${sign}${seconds}`;
  const hours = minutes / 60n;
  return hours === 0n
    ? `${sign}${minutes}m${seconds}`
    : `${sign}${hours}h${minutes % 60n}m${seconds}`;
}

/** A duration measured as milliseconds with a fraction. */
export function formatMilliseconds(ms: number): string {
  return formatDuration(BigInt(Math.round(ms * 1e6)));
}

/** `value / 10^places` without trailing zeros. */
function decimal(value: bigint, places: number): string {
  const scale = 10n ** BigInt(places);
  const fraction = (value % scale).toString().padStart(places, "0").replace(/0+$/, "");
  return fraction === "" ? `${value / scale}` : `${value / scale}.${fraction}`;
}
