// The `grpc-timeout` header: up to eight digits and a unit.

const unitMs: ReadonlyMap<string, number> = new Map([
  ["H", 3_600_000],
  ["M", 60_000],
  ["S", 1000],
  ["m", 1],
  ["u", 1e-3],
  ["n", 1e-6],
]);

/** Milliseconds, or the text that grpc-go has for what is wrong. */
export function parseGrpcTimeout(text: string): number | string {
  if (text.length < 2) return `transport: timeout string is too short: ${quote(text)}`;
  if (text.length > 9) return `transport: timeout string is too long: ${quote(text)}`;
  const unit = unitMs.get(text.charAt(text.length - 1));
  if (unit === undefined) {
    return `transport: timeout unit is not recognized: ${quote(text)}`;
  }
  let value = 0;
  for (let i = 0; i < text.length - 1; i++) {
    const digit = text.charCodeAt(i) - 0x30;
    if (digit < 0 || digit > 9) {
      return `strconv.ParseUint: parsing ${quote(text.slice(0, -1))}: invalid syntax`;
    }
    value = value * 10 + digit;
  }
  return value * unit;
}

/** At least one unit; rounded up, so that the server does not give up before the client. */
export function formatGrpcTimeout(timeoutMs: number): string {
  if (timeoutMs < 1) return `${Math.max(1, Math.ceil(timeoutMs * 1000))}u`;
  if (timeoutMs <= 99_999_999) return `${Math.ceil(timeoutMs)}m`;
  if (timeoutMs <= 99_999_999_000) return `${Math.ceil(timeoutMs / 1000)}S`;
  return `${Math.min(99_999_999, Math.ceil(timeoutMs / 3_600_000))}H`;
}

/** A text in double quotes, as Go's %q prints it. */
export function quote(text: string): string {
  let quoted = '"';
  for (let i = 0; i < text.length; i++) {
    const c = text.charCodeAt(i);
    if (c === 0x22 || c === 0x5c) quoted += `\\${text.charAt(i)}`;
    else if (c >= 0x20 && c < 0x7f) quoted += text.charAt(i);
    else if (escapes.has(c)) quoted += escapes.get(c);
    else quoted += `\\x${c.toString(16).padStart(2, "0")}`;
  }
  return `${quoted}"`;
}

const escapes: ReadonlyMap<number, string> = new Map([
  [0x07, "\\a"],
  [0x08, "\\b"],
  [0x09, "\\t"],
  [0x0a, "\\n"],
  [0x0b, "\\v"],
  [0x0c, "\\f"],
  [0x0d, "\\r"],
]);
