// Peer URLs as they come from outside. A stock member that applies a change of the membership with a URL that it
// cannot parse, or with none, ends with it, and at every start again.

const hostText = "[\\w\\-.~!$&'()*+,;=\\x80-\\uffff]*";
/** With an IPv6 address, which may name a zone. */
const addressText = `(?:\\[[0-9A-Fa-f:.]+(?:%25[\\w.~-]+)?\\]|${hostText})`;
const web = new RegExp(`^https?://${addressText}:\\d{1,5}$`, "i");
/** A socket file needs no port and may have a path. */
const socket = new RegExp(`^unixs?://(?!$)${addressText}(?::\\d*)?(?:/[^?#%\\s]*)?$`, "i");

/**
 * Trimmed and sorted; undefined when there are none or one is no URL that a peer can listen on. etcd also takes user
 * names, queries and fragments, which mean nothing here.
 */
export function checkedUrls(urls: readonly string[]): string[] | undefined {
  if (urls.length === 0) return undefined;
  const checked: string[] = [];
  for (const url of urls) {
    const text = url.trim();
    if (!web.test(text) && !socket.test(text)) return undefined;
    const schemeEnd = text.indexOf(":");
    checked.push(text.slice(0, schemeEnd).toLowerCase() + text.slice(schemeEnd));
  }
  return checked.sort();
}
