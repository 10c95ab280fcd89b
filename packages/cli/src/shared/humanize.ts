/**
 * A size as etcdctl shows it: units of 1000, one decimal below 10 (`2.1 GB`), none above (`20 kB`).
 */
export function humanBytes(bytes: number | bigint): string {
  const value = Number(bytes);
  if (value < 10) return `${value} B`;
  const units = ["B", "kB", "MB", "GB", "TB", "PB", "EB"];
  // The logarithm is taken as upstream's does, so that the choice of unit at the edges is the same.
  const exponent = Math.min(Math.floor(Math.log(value) / Math.log(1000)), units.length - 1);
  const scaled = Math.floor((value / 1000 ** exponent) * 10 + 0.5) / 10;
  return `${scaled < 10 ? scaled.toFixed(1) : roundHalfEven(scaled)} ${units[exponent]}`;
}

/** `%.0f`: ties go to the even neighbour. */
function roundHalfEven(value: number): string {
  const floor = Math.floor(value);
  const rest = value - floor;
  if (rest !== 0.5) return String(Math.round(value));
  return String(floor % 2 === 0 ? floor : floor + 1);
}
