// The flags that every command of etcdctl takes. Their texts are what `etcdctl options` prints.

import type { FlagSpec } from "../shared/command.ts";

export const globalFlags: readonly FlagSpec[] = [
  {
    name: "auth-jwt-token",
    kind: "string",
    initial: "",
    usage:
      "JWT token used for authentication (if this option is used, --user and --password should not be set)",
  },
  {
    name: "cacert",
    kind: "string",
    initial: "",
    usage: "verify certificates of TLS-enabled secure servers using this CA bundle",
  },
  {
    name: "cert",
    kind: "string",
    initial: "",
    usage: "identify secure client using this TLS certificate file",
  },
  {
    name: "command-timeout",
    kind: "duration",
    initial: "5s",
    usage: "timeout for short running command (excluding dial timeout)",
  },
  { name: "debug", kind: "bool", initial: "false", usage: "enable client-side debug logging" },
  {
    name: "dial-timeout",
    kind: "duration",
    initial: "2s",
    usage: "dial timeout for client connections",
  },
  {
    name: "discovery-srv",
    shorthand: "d",
    kind: "string",
    initial: "",
    usage: "domain name to query for SRV records describing cluster endpoints",
  },
  {
    name: "discovery-srv-name",
    kind: "string",
    initial: "",
    usage: "service name to query when using DNS discovery",
  },
  { name: "endpoints", kind: "strings", initial: "127.0.0.1:2379", usage: "gRPC endpoints" },
  {
    name: "hex",
    kind: "bool",
    initial: "false",
    usage: "print byte strings as hex encoded strings",
  },
  {
    name: "insecure-discovery",
    kind: "bool",
    initial: "true",
    usage: "accept insecure SRV records describing cluster endpoints",
  },
  {
    name: "insecure-skip-tls-verify",
    kind: "bool",
    initial: "false",
    usage:
      "skip server certificate verification (CAUTION: this option should be enabled only for testing purposes)",
  },
  {
    name: "insecure-transport",
    kind: "bool",
    initial: "true",
    usage: "disable transport security for client connections",
  },
  {
    name: "keepalive-time",
    kind: "duration",
    initial: "2s",
    usage: "keepalive time for client connections",
  },
  {
    name: "keepalive-timeout",
    kind: "duration",
    initial: "6s",
    usage: "keepalive timeout for client connections",
  },
  {
    name: "key",
    kind: "string",
    initial: "",
    usage: "identify secure client using this TLS key file",
  },
  {
    name: "max-recv-bytes",
    kind: "int",
    initial: "0",
    usage: 'client-side response receive limit in bytes (if 0, it defaults to "math.MaxInt32")',
  },
  {
    name: "max-request-bytes",
    kind: "int",
    initial: "0",
    usage:
      "client-side request send limit in bytes (if 0, it defaults to 2.0 MiB (2 * 1024 * 1024).)",
  },
  {
    name: "password",
    kind: "string",
    initial: "",
    usage:
      "password for authentication (if this option is used, --user option shouldn't include password)",
  },
  {
    name: "user",
    kind: "string",
    initial: "",
    usage: "username[:password] for authentication (prompt if password is not supplied)",
  },
  {
    name: "write-out",
    shorthand: "w",
    kind: "string",
    initial: "simple",
    usage: "set the output format (fields, json, protobuf, simple, table)",
    values: ["simple", "json", "fields", "protobuf", "table"],
  },
];
