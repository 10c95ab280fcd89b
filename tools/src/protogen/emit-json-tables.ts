// Tables by which `json.ts` of a package turns messages into protobuf's JSON and back. A module of its own
// that nothing else imports: programs that speak no JSON do not load it.

import { headOf, importLines, namesOf } from "./emit-module.ts";
import type { EnumModel, FieldModel, MessageModel, PackageModel } from "./model.ts";
import { uncapitalized } from "./names.ts";

export function emitJsonTables(model: PackageModel): string {
  const names = namesOf(model);
  const lines = [
    ...headOf("the messages of the .proto files", undefined),
    "",
    'import type { JsonField, JsonMessage } from "../json-types.ts";',
  ];
  const messages: MessageModel[] = [];
  for (const file of model.files) {
    const wanted: string[] = [];
    for (const type of file.types) {
      if (type.kind === "message") {
        messages.push(type);
        wanted.push(type.className);
      } else {
        wanted.push(namesArray(type));
      }
    }
    lines.push(...importLines(wanted, `./${file.module}.ts`));
  }
  lines.push(
    "",
    "function field(",
    "  name: string,",
    "  property: string,",
    '  kind: JsonField["kind"],',
    '  shape: JsonField["shape"],',
    "  more: Partial<JsonField> = {},",
    "): JsonField {",
    "  return { name, property, kind, shape, ...more };",
    "}",
    "",
    "/** By full name, such as `etcdserverpb.RangeRequest`. */",
    "export const jsonMessages: ReadonlyMap<string, JsonMessage> = new Map<string, JsonMessage>([",
  );
  for (const message of messages) {
    const fields = message.fields.map((item) => `        ${fieldCall(item, model)},`);
    lines.push(
      "  [",
      `    "${message.fullName}",`,
      "    {",
      `      create: () => new ${names.classOf(message.fullName)}(),`,
      ...(fields.length === 0 ? ["      fields: [],"] : ["      fields: [", ...fields, "      ],"]),
      "    },",
      "  ],",
    );
  }
  lines.push("]);", "");
  return lines.join("\n");
}

function fieldCall(field: FieldModel, model: PackageModel): string {
  const kind = field.big ? `big-${field.kind}` : field.kind;
  const shape = field.map
    ? "map"
    : field.repeated
      ? "list"
      : field.presence || field.kind === "message"
        ? "optional"
        : "plain";
  const more: string[] = [];
  if (field.kind === "message") more.push(`message: "${field.type}"`);
  if (field.kind === "enum") {
    more.push(`names: ${namesArray(model.types.get(field.type!) as EnumModel)}`);
  }
  if (field.oneof !== undefined) more.push(`oneof: "${field.oneof}"`);
  const head = `"${field.protoName}", "${field.property}", "${kind}", "${shape}"`;
  return more.length === 0 ? `field(${head})` : `field(${head}, { ${more.join(", ")} })`;
}

function namesArray(type: EnumModel): string {
  return `${uncapitalized(type.constName)}Names`;
}
