// The part of a package's `index.ts` that names what its generated modules export. The rest of the file is
// written by hand; the lines between the two marks are ours.

import { constantName } from "./emit-services.ts";
import type { PackageModel } from "./model.ts";
import { uncapitalized } from "./names.ts";

const begin = "// Generated exports: `npm run gen` writes them again.\n";
const end = "// End of generated exports.\n";

export function updateIndex(text: string, model: PackageModel): string {
  const from = text.indexOf(begin);
  const to = text.indexOf(end);
  if (from < 0 || to < from) throw new Error("index.ts has no place for generated exports");
  return text.slice(0, from + begin.length) + exportsOf(model) + text.slice(to);
}

function exportsOf(model: PackageModel): string {
  const modules = model.files.map((file) => {
    const names = file.types.flatMap((type) =>
      type.kind === "enum"
        ? [type.constName, `${uncapitalized(type.constName)}Names`]
        : ["", "decode", "encode", "size", "write"].map((prefix) => prefix + type.className),
    );
    return { module: file.module, names };
  });
  const services = model.files.flatMap((file) => file.services);
  modules.push({
    module: "services",
    names: ["allMethods", ...services.map((service) => constantName(service.fullName))],
  });
  modules.sort((a, b) => (a.module < b.module ? -1 : 1));
  return modules
    .map(({ module, names }) => {
      const lines = names.sort(asTheFormatter).map((name) => `  ${name},\n`);
      return `export {\n${lines.join("")}} from "./gen/${module}.ts";\n`;
    })
    .join("");
}

/** Letter by letter without regard to case; where that ties, a capital comes first. */
function asTheFormatter(a: string, b: string): number {
  for (let i = 0; i < a.length && i < b.length; i++) {
    if (a[i] === b[i]) continue;
    const lowerA = a[i]!.toLowerCase();
    const lowerB = b[i]!.toLowerCase();
    if (lowerA !== lowerB) return lowerA < lowerB ? -1 : 1;
    return a[i] === lowerA ? 1 : -1;
  }
  return a.length - b.length;
}
