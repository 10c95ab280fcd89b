// JSON as Go's encoder writes it: compact, 64-bit numbers as bare digits, bytes in base64, `<`, `>` and `&`
// escaped. Objects are put together from members; a member of zero value is left out (`omitempty`), unless
// it is one of the `always` kind.

/** A member of an object, ready to be joined; empty when it is left out. */
export type JsonMember = string;

export function object(...members: readonly JsonMember[]): string {
  return `{${members.filter((it) => it !== "").join(",")}}`;
}

export function int(name: string, value: number | bigint): JsonMember {
  return BigInt(value) === 0n ? "" : always(name, String(value));
}

export function bool(name: string, value: boolean): JsonMember {
  return value ? always(name, "true") : "";
}

export function string(name: string, value: string): JsonMember {
  return value === "" ? "" : always(name, text(value));
}

export function bytes(name: string, value: Uint8Array): JsonMember {
  return value.length === 0 ? "" : always(name, base64(value));
}

/** A sub-message: `json` is its object; left out when there is none. */
export function message(name: string, json: string | undefined): JsonMember {
  return json === undefined ? "" : always(name, json);
}

/** A list of values that are JSON already; left out when it is empty. */
export function list(name: string, values: readonly string[]): JsonMember {
  return values.length === 0 ? "" : always(name, array(values));
}

/** A member that is there whatever its value; `json` is its value. */
export function always(name: string, json: string): JsonMember {
  return `"${name}":${json}`;
}

export function array(values: readonly string[]): string {
  return `[${values.join(",")}]`;
}

export function base64(value: Uint8Array): string {
  const view = Buffer.from(value.buffer, value.byteOffset, value.length);
  return `"${view.toString("base64")}"`;
}

/** A quoted string; bytes that were no UTF-8 (lone surrogates by now) are shown as U+FFFD. */
export function text(value: string): string {
  return JSON.stringify(value.replace(/\p{Surrogate}/gu, "\ufffd")).replace(
    /[<>&\u2028\u2029]/g,
    (char) => `\\u${char.charCodeAt(0).toString(16).padStart(4, "0")}`,
  );
}
