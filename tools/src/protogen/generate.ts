// All generated modules, as texts.

import { readFileSync } from "node:fs";
import { join } from "node:path";
import { updateIndex } from "./emit-index.ts";
import { emitJsonTables } from "./emit-json-tables.ts";
import { emitModule } from "./emit-module.ts";
import { emitServices } from "./emit-services.ts";
import { loadPackage } from "./load.ts";
import { importFolders, protoFolder, protoPackages, root } from "./packages.ts";

/** Path from the root of the repository → text. */
export function generateAll(): Map<string, string> {
  const outputs = new Map<string, string>();
  for (const item of protoPackages) {
    const model = loadPackage(item.files, protoFolder(item), importFolders(item));
    for (const file of model.files) {
      outputs.set(`${item.folder}/src/gen/${file.module}.ts`, emitModule(file, model));
    }
    if (!item.tables) continue;
    outputs.set(`${item.folder}/src/gen/services.ts`, emitServices(model));
    outputs.set(`${item.folder}/src/gen/json-tables.ts`, emitJsonTables(model));
    const index = `${item.folder}/src/index.ts`;
    outputs.set(index, updateIndex(readFileSync(join(root, index), "utf8"), model));
  }
  return outputs;
}
