// The table of services: for every method its path, kind, codecs and gateway paths, as data.

import { headOf, importLines, namesOf } from "./emit-module.ts";
import type { FileModel, MethodModel, PackageModel } from "./model.ts";
import { uncapitalized } from "./names.ts";

export function emitServices(model: PackageModel): string {
  const names = namesOf(model);
  const services = model.files.flatMap((file) => file.services);
  const used = new Set(
    services.flatMap((service) => service.methods.flatMap((m) => [m.request, m.response])),
  );
  const constants = services.map((service) => constantName(service.fullName));
  const lines = [
    ...headOf("the services of the .proto files", undefined),
    "",
    'import type { AnyMethod, Method } from "../method.ts";',
    ...model.files.flatMap((file) => codecImports(file, used)),
  ];
  for (const service of services) {
    const name = constantName(service.fullName);
    const methods = service.methods.map((method) => ({
      method,
      property: uncapitalized(method.name),
      request: names.classOf(method.request),
      response: names.classOf(method.response),
    }));
    lines.push(
      "",
      `/** ${service.fullName} */`,
      `export const ${name}: {`,
      ...methods.map((m) => `  readonly ${m.property}: Method<${m.request}, ${m.response}>;`),
      "} = {",
    );
    for (const { method, property, request, response } of methods) {
      lines.push(
        `  ${property}: {`,
        `    name: "${method.name}",`,
        `    service: "${service.fullName}",`,
        `    path: "/${service.fullName}/${method.name}",`,
        `    kind: "${kindOf(method)}",`,
        `    gateway: [${method.gateway.map((path) => `"${path}"`).join(", ")}],`,
        `    requestType: "${method.request}",`,
        `    responseType: "${method.response}",`,
        `    decodeRequest: decode${request},`,
        `    encodeRequest: encode${request},`,
        `    decodeResponse: decode${response},`,
        `    encodeResponse: encode${response},`,
        "  },",
      );
    }
    lines.push("};");
  }
  lines.push(
    "",
    "/** Every method of every service. */",
    "export const allMethods: readonly AnyMethod[] = [",
    ...constants.map((name) => `  ...Object.values(${name}),`),
    "];",
    "",
  );
  return lines.join("\n");
}

/** `etcdserverpb.KV` → `kvService`. */
export function constantName(fullName: string): string {
  const name = fullName.slice(fullName.lastIndexOf(".") + 1);
  return `${name === name.toUpperCase() ? name.toLowerCase() : uncapitalized(name)}Service`;
}

function kindOf(method: MethodModel): string {
  if (method.clientStreams) return method.serverStreams ? "bidiStream" : "clientStream";
  return method.serverStreams ? "serverStream" : "unary";
}

function codecImports(file: FileModel, used: ReadonlySet<string>): string[] {
  const wanted: string[] = [];
  for (const type of file.types) {
    if (type.kind !== "message" || !used.has(type.fullName)) continue;
    wanted.push(`decode${type.className}`, `encode${type.className}`, `type ${type.className}`);
  }
  return importLines(wanted, `./${file.module}.ts`);
}
