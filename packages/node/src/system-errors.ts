// System errors as `DiskError` and `NetError`. Their texts are read by operators of etcd, who know them in
// the form that Go gives them: `open /x/y: permission denied`, `listen tcp 1.2.3.4:2379: bind: address
// already in use`.

import { DiskError, type DiskErrorCode, NetError } from "@etcd-ts/base";

const texts: Readonly<Record<string, string>> = {
  EACCES: "permission denied",
  EADDRINUSE: "address already in use",
  EADDRNOTAVAIL: "cannot assign requested address",
  EAFNOSUPPORT: "address family not supported by protocol",
  EBADF: "bad file descriptor",
  ECONNABORTED: "software caused connection abort",
  ECONNREFUSED: "connection refused",
  ECONNRESET: "connection reset by peer",
  EDQUOT: "disk quota exceeded",
  EEXIST: "file exists",
  EFBIG: "file too large",
  EHOSTUNREACH: "no route to host",
  EINVAL: "invalid argument",
  EIO: "input/output error",
  EISDIR: "is a directory",
  ELOOP: "too many levels of symbolic links",
  EMFILE: "too many open files",
  ENAMETOOLONG: "file name too long",
  ENETUNREACH: "network is unreachable",
  ENFILE: "too many open files in system",
  ENOENT: "no such file or directory",
  ENOMEM: "cannot allocate memory",
  ENOSPC: "no space left on device",
  ENOTDIR: "not a directory",
  ENOTEMPTY: "directory not empty",
  EAI_AGAIN: "server misbehaving",
  ENOTFOUND: "no such host",
  EPERM: "operation not permitted",
  EPIPE: "broken pipe",
  EROFS: "read-only file system",
  ETIMEDOUT: "connection timed out",
};

const diskCodes: Readonly<Record<string, DiskErrorCode>> = {
  EACCES: "permission",
  EDQUOT: "no-space",
  EEXIST: "exists",
  ENOENT: "not-found",
  ENOSPC: "no-space",
  EPERM: "permission",
  EROFS: "read-only",
};

export function diskError(operation: string, path: string, cause: unknown): DiskError {
  if (cause instanceof DiskError) return cause;
  const code = systemCode(cause);
  const text = `${operation} ${path}: ${systemText(cause)}`;
  return new DiskError(diskCodes[code] ?? "io", path, text, { cause });
}

/** `what` is what was tried, such as `dial tcp 127.0.0.1:2379: connect`. */
export function netError(what: string, cause: unknown): NetError {
  if (cause instanceof NetError) return cause;
  const code = systemCode(cause);
  return new NetError(code === "" ? "UNKNOWN" : code, `${what}: ${systemText(cause)}`, { cause });
}

/** `ENOENT` and the like; "" when it is no system error. */
export function systemCode(error: unknown): string {
  const code = (error as { code?: unknown } | null | undefined)?.code;
  return typeof code === "string" ? code : "";
}

export function systemText(error: unknown): string {
  return texts[systemCode(error)] ?? (error instanceof Error ? error.message : String(error));
}
