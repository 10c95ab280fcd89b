// Words of a line of `txn` or `watch -i` input: `"…"` with Go's escapes, `'…'` as it stands, otherwise a run
// of characters up to a blank. A quote that nothing closes is dropped and the rest splits at blanks.

import { bytesToText } from "./byte-text.ts";
import { unquoteBody } from "./go-quote.ts";

export function splitWords(line: string): string[] {
  const words: string[] = [];
  let rest = line.trimStart();
  while (rest !== "") {
    const quoted = quotedWord(rest);
    if (quoted !== undefined) {
      words.push(quoted.word);
      rest = rest.slice(quoted.length).trimStart();
      continue;
    }
    const plain = /^["']?(\S*)/.exec(rest) as RegExpExecArray;
    if (plain[1] !== "") words.push(plain[1] as string);
    rest = rest.slice(plain[0].length).trimStart();
  }
  return words;
}

function quotedWord(text: string): { word: string; length: number } | undefined {
  if (text[0] === "'") {
    const end = text.indexOf("'", 1);
    return end < 0 ? undefined : { word: text.slice(1, end), length: end + 1 };
  }
  const body = /^"((?:[^"\\]|\\.)*)"/s.exec(text);
  if (body === null) return undefined;
  const bytes = unquoteBody(body[1] as string);
  return bytes === undefined ? undefined : { word: bytesToText(bytes), length: body[0].length };
}
