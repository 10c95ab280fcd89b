// Results as a table for people and as JSON for programs.

/** One figure of one scenario: a sample per round. */
export interface Cell {
  readonly scenario: string;
  readonly what: string;
  readonly unit: string;
  readonly ours: readonly number[];
  readonly stock: readonly number[];
}

export interface Report {
  readonly machine: string;
  readonly version: string;
  readonly stock: string | undefined;
  readonly rounds: number;
  readonly measureMs: number;
  readonly cells: readonly Cell[];
}

export function toMarkdown(report: Report): string {
  const lines = [
    `etcd-ts ${report.version} against ${report.stock ?? "nothing"} on ${report.machine};`,
    `${report.rounds} round(s) of ${report.measureMs / 1000} s each in turn, medians, in parentheses the lowest and the highest.`,
    "",
    "| scenario | figure | etcd-ts | stock | ratio |",
    "|---|---|---:|---:|---:|",
  ];
  let before = "";
  for (const cell of report.cells) {
    const scenario = cell.scenario === before ? "" : cell.scenario;
    before = cell.scenario;
    lines.push(
      `| ${scenario} | ${cell.what} | ${show(cell.ours, cell.unit)} | ${show(cell.stock, cell.unit)} | ${ratio(cell)} |`,
    );
  }
  return `${lines.join("\n")}\n`;
}

export function median(samples: readonly number[]): number {
  const sorted = [...samples].sort((a, b) => a - b);
  const middle = sorted.length >> 1;
  if (sorted.length % 2 === 1) return sorted[middle] as number;
  return ((sorted[middle - 1] as number) + (sorted[middle] as number)) / 2;
}

function ratio(cell: Cell): string {
  if (cell.ours.length === 0 || cell.stock.length === 0) return "";
  const stock = median(cell.stock);
  return stock === 0 ? "" : (median(cell.ours) / stock).toFixed(2);
}

function show(samples: readonly number[], unit: string): string {
  if (samples.length === 0) return "";
  const range =
    samples.length > 1 ? ` (${plain(Math.min(...samples))}–${plain(Math.max(...samples))})` : "";
  return `${plain(median(samples))} ${unit}${range}`;
}

function plain(value: number): string {
  if (value >= 1000) return Math.round(value).toLocaleString("en");
  return value >= 100 ? value.toFixed(0) : value >= 10 ? value.toFixed(1) : value.toFixed(2);
}
