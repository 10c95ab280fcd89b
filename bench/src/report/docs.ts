// `--docs`: writes the table of a results file into docs/performance.md, between two markers, so that the page shows nothing that was
// not measured.

import { existsSync, readFileSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { sweepPanels } from "../scenarios/sweep.ts";
import { toMarkdown } from "./markdown.ts";
import type { Report } from "./report.ts";
import { toSvg } from "./svg.ts";

const begin = "<!-- results: begin (written by `npm run bench -- --docs`) -->";
const end = "<!-- results: end -->";

export function writeDocs(report: Report, page: string): void {
  const svg = toSvg(sweepPanels(report));
  const picture = join(dirname(page), "performance.svg");
  if (svg !== undefined) writeFileSync(picture, svg);
  const content =
    svg !== undefined || existsSync(picture)
      ? `${toMarkdown(report)}\n![Latency against load](performance.svg)\n`
      : toMarkdown(report);
  writeFileSync(page, replaceResults(readFileSync(page, "utf8"), content));
}

export function replaceResults(page: string, content: string): string {
  const from = page.indexOf(begin);
  const to = page.indexOf(end);
  if (from === -1 || to < from) {
    throw new Error(`the page has no place for the results: put "${begin}" and "${end}" into it`);
  }
  return `${page.slice(0, from + begin.length)}\n\n${content.trim()}\n\n${page.slice(to)}`;
}
