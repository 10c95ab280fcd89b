// Reads .proto files with protobufjs's parser into our own model. Everything that protogen does not
// support (floats, fixed-width integers, sint, groups, maps but `map<string, message>`) stops it here.

import { existsSync, readFileSync } from "node:fs";
import { join, relative } from "node:path";
import protobuf from "protobufjs";
import type {
  EnumModel,
  FieldModel,
  FileModel,
  MessageModel,
  PackageModel,
  ServiceModel,
} from "./model.ts";
import { capitalized, moduleName, propertyName } from "./names.ts";

const scalars: ReadonlySet<string> = new Set([
  "bytes",
  "string",
  "bool",
  "int32",
  "uint32",
  "int64",
  "uint64",
]);

/** Reads all .proto files named, with their imports, which are looked for in `folders` in order. */
export function loadPackage(
  names: readonly string[],
  home: string,
  folders: readonly string[],
): PackageModel {
  const root = parse(names, [home, ...folders]);
  const types = new Map<string, MessageModel | EnumModel>();
  const files = new Map<
    string,
    { types: (MessageModel | EnumModel)[]; services: ServiceModel[] }
  >();
  for (const name of names) files.set(name, { types: [], services: [] });

  const visit = (object: protobuf.ReflectionObject): void => {
    const file = files.get(relative(home, object.filename ?? ""));
    if (object instanceof protobuf.Type) {
      const model = messageModel(object);
      types.set(model.fullName, model);
      file?.types.push(model);
    } else if (object instanceof protobuf.Enum) {
      const model = enumModel(object);
      types.set(model.fullName, model);
      file?.types.push(model);
    } else if (object instanceof protobuf.Service) {
      file?.services.push(serviceModel(object));
    }
    if (object instanceof protobuf.Namespace) for (const inner of object.nestedArray) visit(inner);
  };
  for (const name of root.nestedArray) if (name.name !== "google") visit(name);

  return {
    types,
    files: [...files].map(([name, content]): FileModel => {
      return { name, module: moduleName(name), comment: headComment(join(home, name)), ...content };
    }),
  };
}

/** The parsed files, also for tests that use protobufjs as an independent codec. */
export function parse(names: readonly string[], folders: readonly string[]): protobuf.Root {
  const root = new protobuf.Root();
  root.resolvePath = (_origin, target) => {
    for (const folder of folders) {
      const path = join(folder, target);
      if (existsSync(path)) return path;
    }
    throw new Error(`${target} is in none of ${folders.join(", ")}`);
  };
  root.loadSync([...names], { keepCase: true, alternateCommentMode: true });
  root.resolveAll();
  return root;
}

function isProto3(path: string): boolean {
  return /^syntax = "proto3";$/m.test(readFileSync(path, "utf8"));
}

/** The comment at the top of a file, which the parser drops. */
function headComment(path: string): string | undefined {
  const lines: string[] = [];
  for (const line of readFileSync(path, "utf8").split("\n")) {
    if (!line.startsWith("//")) break;
    lines.push(line.slice(2).trim());
  }
  return lines.length === 0 ? undefined : lines.join("\n");
}

function messageModel(type: protobuf.Type): MessageModel {
  const fields = type.fieldsArray.map(fieldModel).sort((a, b) => a.number - b.number);
  const properties = new Set(fields.map((field) => field.property));
  if (properties.size !== fields.length) fail(type, "has two fields of one property name");
  return {
    kind: "message",
    fullName: fullName(type),
    className: textOption(type, "class_name") ?? capitalized(type.name),
    fields,
    comment: type.comment ?? undefined,
  };
}

function fieldModel(field: protobuf.Field): FieldModel {
  const proto3 = isProto3(field.filename ?? "");
  const declared = field.resolvedType;
  const message = declared instanceof protobuf.Type;
  if (declared === null && !scalars.has(field.type)) fail(field, `type ${field.type}`);
  const kind = message ? "message" : declared !== null ? "enum" : field.type;
  if (field instanceof protobuf.MapField && !(field.keyType === "string" && message)) {
    fail(field, "only map<string, message> is supported");
  }
  if (field.required) fail(field, "required fields are not supported");
  const synthetic = flag(field, "proto3_optional");
  const safe = flag(field, "(etcdts.safe)");
  const wide = kind === "int64" || kind === "uint64";
  if (safe && !wide) fail(field, "safe is for 64-bit integers");
  const always = flag(field, "(etcdts.always)");
  if (always && (proto3 || field.repeated)) fail(field, "always is for singular proto2 fields");
  const oneof = synthetic ? undefined : (field.partOf?.name ?? undefined);
  return {
    number: field.id,
    protoName: field.name,
    property: propertyName(field.name),
    kind: kind as FieldModel["kind"],
    type: declared === null ? undefined : fullName(declared),
    repeated: field.repeated,
    packed: field.repeated && field.packed && !message && kind !== "bytes" && kind !== "string",
    map: field instanceof protobuf.MapField,
    big: wide && !safe,
    always,
    presence:
      !message &&
      !field.repeated &&
      (synthetic || oneof !== undefined || flag(field, "(etcdts.presence)")),
    oneof,
    loose: !proto3,
    comment: field.comment ?? undefined,
  };
}

function enumModel(type: protobuf.Enum): EnumModel {
  const values = Object.entries(type.values).map(([name, number]) => ({ name, number }));
  values.sort((a, b) => a.number - b.number);
  if (values.some(({ number }, index) => number !== index)) fail(type, "values are not 0, 1, 2 …");
  return {
    kind: "enum",
    fullName: fullName(type),
    constName: textOption(type, "const_name") ?? type.name,
    values,
    comment: type.comment ?? undefined,
  };
}

function serviceModel(service: protobuf.Service): ServiceModel {
  return {
    fullName: fullName(service),
    methods: service.methodsArray.map((method) => {
      if (method.resolvedRequestType === null || method.resolvedResponseType === null) {
        fail(method, "unresolved");
      }
      // `options` keeps the last of several options of one name, `parsedOptions` all of them.
      const gateway = ((method.parsedOptions ?? []) as Record<string, unknown>[])
        .map((option) => option["(etcdts.gateway)"])
        .filter((path) => typeof path === "string");
      return {
        name: method.name,
        request: fullName(method.resolvedRequestType),
        response: fullName(method.resolvedResponseType),
        clientStreams: method.requestStream === true,
        serverStreams: method.responseStream === true,
        gateway,
      };
    }),
  };
}

function fullName(object: protobuf.ReflectionObject): string {
  return object.fullName.replace(/^\./, "");
}

function flag(object: protobuf.ReflectionObject, name: string): boolean {
  return object.options?.[name] === true;
}

function textOption(object: protobuf.ReflectionObject, name: string): string | undefined {
  const value: unknown = object.options?.[`(etcdts.${name})`];
  return typeof value === "string" ? value : undefined;
}

function fail(object: protobuf.ReflectionObject, what: string): never {
  throw new Error(`${object.fullName}: ${what}`);
}
