// Profiles in the format of pprof (profile.proto, gzipped by whoever sends it), so that `go tool pprof` and
// everything that reads its files reads ours.
//
//     Profile   1 sample_type*  2 sample*  4 location*  5 function*  6 string_table*  9 time_nanos
//               10 duration_nanos  11 period_type  12 period
//     ValueType 1 type  2 unit          Sample   1 location_id* (leaf first)  2 value*
//     Location  1 id  4 line            Line     1 function_id  2 line
//     Function  1 id  2 name  3 system_name  4 filename  5 start_line
//
// Texts are indexes into the string table, whose first is "". One location stands for one line of a function.

export interface Frame {
  readonly functionName: string;
  readonly url: string;
  /** From 0; -1 when there is none. */
  readonly lineNumber: number;
}

export interface ProfileSample {
  /** The innermost first. */
  readonly frames: readonly Frame[];
  /** One for each sample type. */
  readonly values: readonly number[];
}

export interface ProfileContent {
  /** Names and units, such as `["cpu", "nanoseconds"]`. */
  readonly sampleTypes: readonly (readonly [string, string])[];
  readonly samples: readonly ProfileSample[];
  readonly periodType: readonly [string, string];
  readonly period: number;
  readonly wallMs: number;
  readonly durationMs: number;
}

export function encodeProfile(content: ProfileContent): Uint8Array {
  const tables = new Tables();
  const profile = new Message();
  for (const type of content.sampleTypes) profile.nested(1, tables.valueType(type));
  for (const { frames, values } of content.samples) {
    const sample = new Message();
    sample.packed(
      1,
      frames.map((frame) => tables.location(frame)),
    );
    sample.packed(2, values);
    profile.nested(2, sample);
  }
  const periodType = tables.valueType(content.periodType);
  for (const location of tables.locations) profile.nested(4, location);
  for (const made of tables.functions) profile.nested(5, made);
  for (const text of tables.texts) profile.bytes(6, Buffer.from(text, "utf8"));
  profile.number(9, Math.round(content.wallMs) * 1e6);
  profile.number(10, Math.round(content.durationMs * 1e6));
  profile.nested(11, periodType);
  profile.number(12, content.period);
  return profile.finish();
}

class Tables {
  readonly texts: string[] = [""];
  readonly locations: Message[] = [];
  readonly functions: Message[] = [];
  readonly #textIndexes = new Map<string, number>([["", 0]]);
  readonly #locationIds = new Map<string, number>();
  readonly #functionIds = new Map<string, number>();

  valueType([type, unit]: readonly [string, string]): Message {
    const message = new Message();
    message.number(1, this.#text(type));
    message.number(2, this.#text(unit));
    return message;
  }

  location(frame: Frame): number {
    const key = `${frame.url}\n${frame.functionName}\n${frame.lineNumber}`;
    const present = this.#locationIds.get(key);
    if (present !== undefined) return present;
    const id = this.locations.length + 1;
    this.#locationIds.set(key, id);
    const line = new Message();
    line.number(1, this.#function(frame));
    line.number(2, frame.lineNumber + 1);
    const location = new Message();
    location.number(1, id);
    location.nested(4, line);
    this.locations.push(location);
    return id;
  }

  #function({ functionName, url, lineNumber }: Frame): number {
    const key = `${url}\n${functionName}\n${lineNumber}`;
    const present = this.#functionIds.get(key);
    if (present !== undefined) return present;
    const id = this.functions.length + 1;
    this.#functionIds.set(key, id);
    const name = this.#text(functionName === "" ? "(anonymous)" : functionName);
    const made = new Message();
    made.number(1, id);
    made.number(2, name);
    made.number(3, name);
    made.number(4, this.#text(url.replace(/^file:\/\//, "")));
    made.number(5, lineNumber + 1);
    this.functions.push(made);
    return id;
  }

  #text(text: string): number {
    const present = this.#textIndexes.get(text);
    if (present !== undefined) return present;
    const index = this.texts.push(text) - 1;
    this.#textIndexes.set(text, index);
    return index;
  }
}

/** Numbers are not negative and exact. */
class Message {
  readonly #parts: Uint8Array[] = [];

  number(field: number, value: number): void {
    if (value !== 0) this.#parts.push(varint(field << 3), varint(value));
  }

  packed(field: number, values: readonly number[]): void {
    this.bytes(field, Buffer.concat(values.map(varint)));
  }

  nested(field: number, message: Message): void {
    this.bytes(field, message.finish());
  }

  bytes(field: number, bytes: Uint8Array): void {
    this.#parts.push(varint((field << 3) | 2), varint(bytes.length), bytes);
  }

  finish(): Uint8Array {
    return Buffer.concat(this.#parts);
  }
}

function varint(value: number): Uint8Array {
  const bytes: number[] = [];
  let rest = value;
  while (rest >= 0x80) {
    bytes.push((rest % 0x80) | 0x80);
    rest = Math.floor(rest / 0x80);
  }
  bytes.push(rest);
  return Uint8Array.from(bytes);
}
