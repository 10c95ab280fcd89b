// How names of .proto files become names of TypeScript.

/** Words of a proto name: `peerURLs` is `peer`, `URLs`; `remaining_TTL` is `remaining`, `TTL`. */
const word = /URLs|[A-Z]+(?![a-z])|[A-Z]?[a-z]+[0-9]*|[0-9]+/g;

/** `range_end` → `rangeEnd`, `TTL` → `ttl`, `peerURLs` → `peerUrls`, `NodeID` → `nodeId`. */
export function propertyName(protoName: string): string {
  const words = protoName.match(word) ?? [protoName];
  return words
    .map((text, index) => (index === 0 ? text.toLowerCase() : capitalized(text.toLowerCase())))
    .join("");
}

export function capitalized(text: string): string {
  return text.charAt(0).toUpperCase() + text.slice(1);
}

/** `SortOrder` → `sortOrder`. */
export function uncapitalized(text: string): string {
  return text.charAt(0).toLowerCase() + text.slice(1);
}

/** `etcdserverpb/raft_internal.proto` → `raft-internal`. */
export function moduleName(protoFile: string): string {
  const base = protoFile.slice(protoFile.lastIndexOf("/") + 1);
  return base.replace(/\.proto$/, "").replaceAll("_", "-");
}
