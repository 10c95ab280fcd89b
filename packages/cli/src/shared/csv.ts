/** A list flag that is no line of comma separated values; the message is Go's. */
export class CsvError extends Error {
  override readonly name = "CsvError";
}

/** The fields of one line of comma separated values; a quoted field may hold commas and doubled quotes. */
export function parseCsv(text: string): string[] {
  if (text === "") return [];
  const fields: string[] = [];
  let at = 0;
  for (;;) {
    if (text[at] === '"') {
      let field = "";
      at += 1;
      for (;;) {
        const end = text.indexOf('"', at);
        if (end < 0) throw csvError(text.length + 1, 'extraneous or missing " in quoted-field');
        field += text.slice(at, end);
        at = end + 1;
        if (text[at] !== '"') break;
        field += '"';
        at += 1;
      }
      if (at < text.length && !",\r\n".includes(text[at] as string)) {
        throw csvError(at, 'extraneous or missing " in quoted-field');
      }
      fields.push(field);
    } else {
      const rest = text.slice(at);
      const length = rest.search(/[,\n]/);
      const field = (length < 0 ? rest : rest.slice(0, length)).replace(/\r$/, "");
      const bare = field.indexOf('"');
      if (bare >= 0) throw csvError(at + bare + 1, 'bare " in non-quoted-field');
      fields.push(field);
      at = length < 0 ? text.length : at + length;
    }
    if (text[at] !== ",") return fields;
    at += 1;
  }
}

function csvError(column: number, what: string): CsvError {
  return new CsvError(`parse error on line 1, column ${column}: ${what}`);
}
