// Peer URLs as they come from outside. A stock member that applies a change of the membership with a URL that it
// cannot parse, or with none, ends with it, and at every start again.

const web = /^https?:\/\/(\[[0-9A-Fa-f:.]+(%25[\w.~-]+)?\]|[^/?#@:%[\]\\<>^`{|}"\s]*):\d{1,5}$/;
/** A socket file needs no port. */
const socket = /^unixs?:\/\/[^/?#@%\s]+$/;

/** Trimmed and sorted; undefined when there are none or one is no URL that a peer can listen on. */
export function checkedUrls(urls: readonly string[]): string[] | undefined {
  if (urls.length === 0) return undefined;
  const checked: string[] = [];
  for (const url of urls) {
    const text = url.trim();
    if (!web.test(text) && !socket.test(text)) return undefined;
    checked.push(text);
  }
  return checked.sort();
}
