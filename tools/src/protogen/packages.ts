// Which .proto files there are and where their modules go.

import { join } from "node:path";
import { fileURLToPath } from "node:url";

export const root: string = fileURLToPath(new URL("../../../..", import.meta.url));

export interface ProtoPackage {
  readonly folder: string;
  /** In the order of `index` listings; paths from `<folder>/proto`. */
  readonly files: readonly string[];
  /** Other packages whose files these import. */
  readonly imports: readonly string[];
  /** Emit tables of services and of fields (for JSON) as well. */
  readonly tables: boolean;
}

export const protoPackages: readonly ProtoPackage[] = [
  { folder: "packages/raft", files: ["raftpb.proto"], imports: [], tables: false },
  {
    folder: "packages/storage",
    files: ["walpb.proto", "metadata.proto", "snappb.proto"],
    imports: ["packages/raft"],
    tables: false,
  },
  {
    folder: "packages/api",
    files: [
      "kv.proto",
      "auth.proto",
      "membership.proto",
      "rpc.proto",
      "raft_internal.proto",
      "v2_request.proto",
      "lease.proto",
      "v3lock.proto",
      "v3election.proto",
      "health.proto",
    ],
    imports: [],
    tables: true,
  },
];

export function protoFolder(item: Pick<ProtoPackage, "folder">): string {
  return join(root, item.folder, "proto");
}

/** Where imports of `item`'s files are looked for, besides its own folder. */
export function importFolders(item: ProtoPackage): string[] {
  return [
    ...item.imports.map((folder) => protoFolder({ folder })),
    join(root, "tools/proto"),
    join(root, "node_modules/protobufjs"),
  ];
}
