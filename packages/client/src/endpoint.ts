import type { NetAddress } from "@etcd-ts/base";

/** An address of a member, as it was given and taken apart. */
export interface Endpoint {
  readonly text: string;
  readonly address: NetAddress;
  readonly tls: boolean;
  /** `:authority` of requests. */
  readonly authority: string;
}

/** An address that cannot be one. */
export class EndpointError extends Error {
  override readonly name = "EndpointError";
}

/** Reads an endpoint; without a scheme `tlsByDefault` decides. Throws `EndpointError`. */
export function parseEndpoint(given: string, tlsByDefault: boolean): Endpoint {
  const text = given.trim();
  const unix = /^(unixs?):(?:\/\/)?(.+)$/.exec(text);
  if (unix !== null) {
    return {
      text,
      address: { kind: "unix", path: unix[2] as string },
      tls: unix[1] === "unixs" || tlsByDefault,
      authority: "localhost",
    };
  }
  const scheme = /^([a-z][a-z0-9+.-]*):\/\/(.*)$/i.exec(text);
  const name = scheme?.[1]?.toLowerCase();
  if (name !== undefined && name !== "http" && name !== "https") {
    throw new EndpointError(`endpoint ${text}: scheme must be http, https, unix or unixs`);
  }
  // Client URLs of members may end in a slash.
  const place = (scheme === null ? text : (scheme[2] as string)).replace(/\/.*$/, "");
  const parts = /^(?:\[([^\]]+)\]|([^:[\]]*)):(\d+)$/.exec(place);
  const port = Number(parts?.[3]);
  if (parts === null || !(port <= 65535)) {
    throw new EndpointError(`endpoint ${text}: must be host:port`);
  }
  // An empty host is this machine, as for Go's dialler.
  const host = parts[1] ?? parts[2] ?? "";
  return {
    text,
    address: { kind: "tcp", host: host === "" ? "127.0.0.1" : host, port },
    tls: name === undefined ? tlsByDefault : name === "https",
    authority: place,
  };
}
