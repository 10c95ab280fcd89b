// Header fields (RFC 9110 §5). Names are compared without regard to case and kept in lower case; the order
// of fields and repeated ones stay as they came.

import { Http1Error } from "./http1-error.ts";

/** Fields to send, spelled as they shall appear. */
export type FieldList = readonly (readonly [name: string, value: string])[];

const tokenPattern = /^[!#$%&'*+\-.^_`|~0-9A-Za-z]+$/;
/** Visible characters, blanks and tabs in between, and whatever lies above ASCII. */
const valuePattern = /^[\t\x20-\x7e\x80-\xff]*$/;

export class Fields {
  readonly #names: string[] = [];
  readonly #values: string[] = [];

  get count(): number {
    return this.#names.length;
  }

  add(name: string, value: string): void {
    this.#names.push(name.toLowerCase());
    this.#values.push(value);
  }

  /** The first of this name. `name` in lower case, as in all of these. */
  get(name: string): string | undefined {
    const at = this.#names.indexOf(name);
    return at < 0 ? undefined : this.#values[at];
  }

  all(name: string): string[] {
    const found: string[] = [];
    for (let i = 0; i < this.#names.length; i++) {
      if (this.#names[i] === name) found.push(this.#values[i]!);
    }
    return found;
  }

  /** Whether a list field, such as `Connection`, names this token. */
  lists(name: string, token: string): boolean {
    return this.all(name).some((value) =>
      value.split(",").some((part) => part.trim().toLowerCase() === token),
    );
  }
}

export function isToken(text: string): boolean {
  return tokenPattern.test(text);
}

/** Parses `name: value`. Blanks before the colon and folded lines are how requests are smuggled: refused. */
export function parseField(line: string, into: Fields): void {
  const colon = line.indexOf(":");
  const name = line.slice(0, Math.max(0, colon));
  if (!isToken(name)) throw new Http1Error(400, "malformed header field name");
  const value = trimBlanks(line.slice(colon + 1));
  if (!valuePattern.test(value)) throw new Http1Error(400, "malformed header field value");
  into.add(name, value);
}

/** Throws `TypeError` for a field that must not be sent: a bug of the caller, or text it failed to check. */
export function formatFields(fields: FieldList): string {
  let text = "";
  for (const [name, value] of fields) {
    if (!isToken(name) || !valuePattern.test(value)) {
      throw new TypeError(`header field ${JSON.stringify(name)} cannot be sent`);
    }
    text += `${name}: ${value}\r\n`;
  }
  return text;
}

function trimBlanks(text: string): string {
  let start = 0;
  let end = text.length;
  while (start < end && isBlank(text.charCodeAt(start))) start++;
  while (end > start && isBlank(text.charCodeAt(end - 1))) end--;
  return text.slice(start, end);
}

function isBlank(code: number): boolean {
  return code === 0x20 || code === 0x09;
}
