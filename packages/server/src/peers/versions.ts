// Versions that members announce to each other. Only three numbers between dots will do: a stock member
// crashes on anything else, and we treat anything else from outside as no version at all.

export interface Version {
  readonly major: number;
  readonly minor: number;
}

/** Members before 3.0 speak another protocol; every release since announces this one. */
export const minClusterVersionText = "3.0.0";
const minClusterVersion: Version = { major: 3, minor: 0 };

/** The first stock release that ends when it meets a write to the old store. */
const firstWithoutOldStore: Version = { major: 3, minor: 7 };

/** How ours tell each other apart from stock members, which skip what they do not know. */
export const implementationName = "etcd-ts";

/** What counts for a member that announces nothing. */
const unannounced: Version = { major: 2, minor: 0 };

const pattern =
  /^(0|[1-9][0-9]{0,8})\.(0|[1-9][0-9]{0,8})\.(?:0|[1-9][0-9]{0,8})(?:-[0-9A-Za-z.-]+)?(?:\+[0-9A-Za-z.-]+)?$/;

export function parseVersion(text: string): Version | undefined {
  const match = pattern.exec(text);
  if (match === null) return undefined;
  return { major: Number(match[1]), minor: Number(match[2]) };
}

export function isOlder(a: Version, b: Version): boolean {
  return a.major < b.major || (a.major === b.major && a.minor < b.minor);
}

/** Whether the sender of a request and this member understand each other. */
export function areCompatible(
  own: Version,
  announced: string | undefined,
  announcedMin: string | undefined,
): boolean {
  const version = announced === undefined ? unannounced : parseVersion(announced);
  const min = announcedMin === undefined ? unannounced : parseVersion(announcedMin);
  if (version === undefined || min === undefined) return false;
  return !isOlder(version, minClusterVersion) && !isOlder(own, min);
}

/** Whether a member that answers a stream request with this version can serve the stream. */
export function servesStreams(announced: string | undefined): boolean {
  const version = announced === undefined ? unannounced : parseVersion(announced);
  return version !== undefined && !isOlder(version, minClusterVersion);
}

/** Whether a member that introduces itself so ends when it meets a write to the old store. */
export function refusesOldStore(
  announced: string | undefined,
  implementation: string | undefined,
): boolean {
  const version = announced === undefined ? unannounced : parseVersion(announced);
  if (version === undefined || implementation === implementationName) return false;
  return !isOlder(version, firstWithoutOldStore);
}
