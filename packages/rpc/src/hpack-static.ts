// The static table of HPACK (RFC 7541 appendix A). Index 1 is the first row.

import { HeaderField } from "./header-field.ts";

// biome-ignore format: a table
const rows: readonly (readonly [string, string])[] = [
  [":authority", ""], [":method", "GET"], [":method", "POST"], [":path", "/"],
  [":path", "/index.html"], [":scheme", "http"], [":scheme", "https"], [":status", "200"],
  [":status", "204"], [":status", "206"], [":status", "304"], [":status", "400"],
  [":status", "404"], [":status", "500"], ["accept-charset", ""],
  ["accept-encoding", "gzip, deflate"], ["accept-language", ""], ["accept-ranges", ""],
  ["accept", ""], ["access-control-allow-origin", ""], ["age", ""], ["allow", ""],
  ["authorization", ""], ["cache-control", ""], ["content-disposition", ""],
  ["content-encoding", ""], ["content-language", ""], ["content-length", ""],
  ["content-location", ""], ["content-range", ""], ["content-type", ""], ["cookie", ""],
  ["date", ""], ["etag", ""], ["expect", ""], ["expires", ""], ["from", ""], ["host", ""],
  ["if-match", ""], ["if-modified-since", ""], ["if-none-match", ""], ["if-range", ""],
  ["if-unmodified-since", ""], ["last-modified", ""], ["link", ""], ["location", ""],
  ["max-forwards", ""], ["proxy-authenticate", ""], ["proxy-authorization", ""], ["range", ""],
  ["referer", ""], ["refresh", ""], ["retry-after", ""], ["server", ""], ["set-cookie", ""],
  ["strict-transport-security", ""], ["transfer-encoding", ""], ["user-agent", ""], ["vary", ""],
  ["via", ""], ["www-authenticate", ""],
];

export const staticCount = 61;

/** By index; slot 0 is not used. */
export const staticFields: readonly HeaderField[] = [
  new HeaderField("", ""),
  ...rows.map(([name, value]) => new HeaderField(name, value)),
];

/** First index of a name, and of a name with its value (`name\0value`). */
export const staticNames: ReadonlyMap<string, number> = firstIndexes((field) => field.name);
export const staticPairs: ReadonlyMap<string, number> = firstIndexes(
  (field) => `${field.name}\0${field.value}`,
);

function firstIndexes(keyOf: (field: HeaderField) => string): Map<string, number> {
  const indexes = new Map<string, number>();
  for (let i = 1; i <= staticCount; i++) {
    const key = keyOf(staticFields[i]!);
    if (!indexes.has(key)) indexes.set(key, i);
  }
  return indexes;
}
