// Results as a table for people: medians of the rounds, in parentheses the lowest and the highest.

import type { Figure, Goal } from "../scenario.ts";
import {
  median,
  type Report,
  ratioOf,
  type ScenarioResult,
  samplesOf,
  type Verdict,
  verdictsOf,
} from "./report.ts";

export function toMarkdown(report: Report): string {
  const against = [...new Set(report.results.flatMap((it) => it.against ?? []))];
  const lines = [
    `etcd-ts ${report.version} against ${against.length === 0 ? "nothing" : against.join(", ")} on ${report.machine}.`,
    ...(report.quick
      ? ["", "**Quick run: short rounds and small sizes. Not for conclusions.**"]
      : []),
    "",
    ...summary(report.results),
    "| scenario | figure | etcd-ts | stock | ratio | goal | |",
    "|---|---|---:|---:|---:|---:|---|",
    ...report.results.flatMap(rows),
    "",
    ...notes(report.results),
  ];
  return `${lines.join("\n").trimEnd()}\n`;
}

function summary(results: readonly ScenarioResult[]): string[] {
  const verdicts = results.flatMap(verdictsOf);
  if (verdicts.length === 0) return [];
  const count = (reached: boolean | undefined): number =>
    verdicts.filter((it) => it.reached === reached).length;
  const unknown = count(undefined);
  return [
    `${count(true)} goals reached, ${count(false)} missed${unknown === 0 ? "" : `, ${unknown} not measured`}.`,
    "",
  ];
}

function rows(result: ScenarioResult): string[] {
  if (result.ours.length + result.stock.length === 0) {
    return [`| ${result.title} | not measured | | | | | |`];
  }
  const verdicts = verdictsOf(result);
  let title = result.title;
  const lines: string[] = [];
  for (const figure of result.figures) {
    if (figure.hidden === true) continue;
    const ours = samplesOf(result.ours, figure.key);
    const stock = samplesOf(result.stock, figure.key);
    const own = verdicts.filter((it) => it.goal.figure === figure.key);
    if (ours.length === 0 && stock.length === 0 && own.length === 0) continue;
    const ratio = ratioOf(result, figure.key);
    const cells = [
      title,
      figure.label,
      show(ours, figure.unit),
      show(stock, figure.unit),
      ratio === undefined ? "" : ratio.toFixed(2),
      own.map((it) => goalText(it.goal, figure.unit)).join(", "),
      own.map(verdictText).join(", "),
    ];
    lines.push(`| ${cells.join(" | ")} |`);
    title = "";
  }
  return lines;
}

function goalText(goal: Goal, unit: string): string {
  const sign = goal.sense === "atLeast" ? "≥" : "≤";
  return goal.of === "times"
    ? `${sign} ${goal.limit} ×`
    : `${sign} ${[plain(goal.limit), unit].join(" ").trim()}`;
}

/** "≤ 0.5 × stock", "≤ 2 ms". */
export function goalLine(goal: Goal, figure: Figure | undefined): string {
  const text = goalText(goal, figure?.unit ?? "");
  return goal.of === "times" ? `${text} stock` : text;
}

function verdictText({ reached }: Verdict): string {
  if (reached === undefined) return "not measured";
  return reached ? "yes" : "**no**";
}

const namedScenariosMax = 4;

/** What readers have to know; what holds for several scenarios is said once. */
function notes(results: readonly ScenarioResult[]): string[] {
  const titles = new Map<string, string[]>();
  const say = (text: string, { title }: ScenarioResult): void => {
    const known = titles.get(text);
    if (known === undefined) titles.set(text, [title]);
    else if (!known.includes(title)) known.push(title);
  };
  for (const result of results) {
    if (result.note !== undefined) say(result.note, result);
    for (const remark of result.remarks) say(remark, result);
    if (result.failure !== undefined) say(`failed: ${result.failure.split("\n")[0]}`, result);
    if (result.leftOut === true) say("left out, for the time of a quick run was over", result);
  }
  return [...titles].map(([text, of]) => {
    if (of.length === results.length && of.length > 1) return `- All: ${text}.`;
    const others = of.length - namedScenariosMax;
    const who = others > 1 ? [...of.slice(0, namedScenariosMax), `and ${others} others`] : of;
    return `- ${who.join("; ")}: ${text}.`;
  });
}

function show(samples: readonly number[], unit: string): string {
  if (samples.length === 0) return "";
  const spread =
    samples.length > 1 ? ` (${plain(Math.min(...samples))}–${plain(Math.max(...samples))})` : "";
  return `${[plain(median(samples)), unit].join(" ").trim()}${spread}`;
}

export function plain(value: number): string {
  if (!Number.isFinite(value)) return "∞";
  if (value !== 0 && Number.isInteger(value) && Math.abs(value) < 1000) return value.toFixed(0);
  if (value >= 1000) return Math.round(value).toLocaleString("en");
  if (value === 0) return "0";
  return value >= 100 ? value.toFixed(0) : value >= 10 ? value.toFixed(1) : value.toFixed(2);
}
