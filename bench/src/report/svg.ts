// Latency against load as a picture: for each kind of request one panel, throughput to the right, latency upwards on a logarithmic scale;
// a line for each server's median and one for its 99th percentile. A point is a number of clients.

import { plain } from "./markdown.ts";

export interface CurvePoint {
  readonly clients: number;
  readonly perSecond: number;
  readonly p50Ms: number;
  readonly p99Ms: number;
}

export interface Curve {
  readonly server: string;
  readonly points: readonly CurvePoint[];
}

export interface Panel {
  readonly title: string;
  readonly curves: readonly Curve[];
}

const width = 760;
const panelHeight = 360;
const margin = { left: 70, right: 150, top: 44, bottom: 52 };
const colours = ["#1f6feb", "#d1622b", "#3a9a5b", "#8250df"];

/** Undefined when there is nothing to draw. */
export function toSvg(panels: readonly Panel[]): string | undefined {
  const drawn = panels.filter((panel) => panel.curves.some((it) => it.points.length > 0));
  if (drawn.length === 0) return undefined;
  const height = drawn.length * panelHeight;
  return [
    `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${width} ${height}" width="${width}" height="${height}" font-family="sans-serif" font-size="12">`,
    `<rect width="${width}" height="${height}" fill="#ffffff"/>`,
    ...drawn.map((panel, index) => drawPanel(panel, index * panelHeight)),
    "</svg>",
    "",
  ].join("\n");
}

function drawPanel(panel: Panel, offset: number): string {
  const points = panel.curves.flatMap((it) => it.points);
  const latencies = points.flatMap((it) => [it.p50Ms, it.p99Ms]).filter((it) => it > 0);
  const xStep = niceStep(Math.max(...points.map((it) => it.perSecond)) / 5);
  const xMax = xStep * Math.ceil(Math.max(...points.map((it) => it.perSecond)) / xStep);
  const low = Math.floor(Math.log10(Math.min(...latencies)));
  const high = Math.max(low + 1, Math.ceil(Math.log10(Math.max(...latencies))));
  const left = margin.left;
  const right = width - margin.right;
  const top = offset + margin.top;
  const bottom = offset + panelHeight - margin.bottom;
  const x = (perSecond: number): number => left + ((right - left) * perSecond) / xMax;
  const y = (ms: number): number =>
    bottom - ((bottom - top) * (Math.log10(Math.max(ms, 10 ** low)) - low)) / (high - low);
  const parts: string[] = [
    `<text x="${left}" y="${offset + 26}" font-size="15" fill="#1f2328">${escapeXml(panel.title)}</text>`,
  ];
  for (let decade = low; decade <= high; decade++) {
    const at = y(10 ** decade).toFixed(1);
    parts.push(
      `<line x1="${left}" x2="${right}" y1="${at}" y2="${at}" stroke="#d8dee4"/>`,
      `<text x="${left - 8}" y="${at}" dy="4" text-anchor="end" fill="#59636e">${decadeText(decade)}</text>`,
    );
  }
  for (let value = 0; value <= xMax; value += xStep) {
    const at = x(value).toFixed(1);
    parts.push(
      `<line x1="${at}" x2="${at}" y1="${top}" y2="${bottom}" stroke="#eaeef2"/>`,
      `<text x="${at}" y="${bottom + 18}" text-anchor="middle" fill="#59636e">${plain(value)}</text>`,
    );
  }
  parts.push(
    `<text x="${(left + right) / 2}" y="${bottom + 38}" text-anchor="middle" fill="#59636e">answers per second (a point is a number of clients)</text>`,
  );
  panel.curves.forEach((curve, index) => {
    const colour = colours[index % colours.length] as string;
    parts.push(
      ...drawLine(curve, (it) => it.p50Ms, colour, "", x, y),
      ...drawLine(curve, (it) => it.p99Ms, colour, ' stroke-dasharray="5 4"', x, y),
    );
    const legend = top + 12 + index * 40;
    parts.push(
      `<text x="${right + 14}" y="${legend}" fill="${colour}">${escapeXml(curve.server)}, median</text>`,
      `<text x="${right + 14}" y="${legend + 16}" fill="${colour}">- - 99th percentile</text>`,
    );
  });
  return parts.join("\n");
}

function drawLine(
  curve: Curve,
  latency: (point: CurvePoint) => number,
  colour: string,
  dashes: string,
  x: (perSecond: number) => number,
  y: (ms: number) => number,
): string[] {
  const places = curve.points.map((point) => ({
    point,
    at: `${x(point.perSecond).toFixed(1)},${y(latency(point)).toFixed(1)}`,
  }));
  return [
    `<polyline points="${places.map((it) => it.at).join(" ")}" fill="none" stroke="${colour}" stroke-width="2"${dashes}/>`,
    ...places.map(({ point, at }) => {
      const [cx, cy] = at.split(",");
      const text = `${curve.server}, ${point.clients} clients: ${plain(point.perSecond)}/s, ${plain(latency(point))} ms`;
      return `<circle cx="${cx}" cy="${cy}" r="3" fill="${colour}"><title>${escapeXml(text)}</title></circle>`;
    }),
  ];
}

/** 1, 2 or 5 times a power of ten, at least `atLeast`. */
export function niceStep(atLeast: number): number {
  const power = 10 ** Math.floor(Math.log10(atLeast));
  const factor = [1, 2, 5, 10].find((it) => it * power >= atLeast) ?? 10;
  return factor * power;
}

function decadeText(decade: number): string {
  return decade < 0 ? `${10 ** (decade + 3)} µs` : `${10 ** decade} ms`;
}

function escapeXml(text: string): string {
  return text.replaceAll("&", "&amp;").replaceAll("<", "&lt;").replaceAll(">", "&gt;");
}
