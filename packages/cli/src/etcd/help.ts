import { flagRows } from "./flag-table.ts";

const forms: readonly (readonly [string, string])[] = [
  ["etcd [flags]", "Run a server."],
  ["etcd --version", "Show the version."],
  ["etcd -h | --help", "Show this help."],
  [
    "etcd --config-file",
    "Run a server as a YAML file says; flags and environment variables do not count then.",
  ],
  ["etcd gateway", "Forward TCP connections to a cluster. (Not available yet.)"],
  ["etcd grpc-proxy", "Forward gRPC calls to a cluster. (Not available yet.)"],
];

/** Goes to standard error, after a wrong command line too. */
export function usageText(): string {
  const lines = forms.map(([form, meaning]) => `  ${form}\n    ${meaning}\n`);
  return `Usage:\n\n${lines.join("\n")}`;
}

/** The reference of all flags, in groups. */
export function flagReference(): string {
  let text = "";
  let group = "";
  for (const row of flagRows) {
    if (row.group === "") continue;
    if (row.group !== group) {
      group = row.group;
      text += `\n${group}:\n`;
    }
    text += `  --${row.name} '${row.shown}'\n    ${row.help}\n`;
  }
  return `${text}\nFlags of the group "Unsafe feature" break promises: know what you do.\n`;
}
