// What protogen knows about a .proto file, free of the parser's classes: the emitters read only this.

export type ScalarKind = "bytes" | "string" | "bool" | "int32" | "uint32" | "int64" | "uint64";

export interface FieldModel {
  readonly number: number;
  /** As declared, such as `range_end`; the name in JSON. */
  readonly protoName: string;
  /** The property of the class, such as `rangeEnd`. */
  readonly property: string;
  readonly kind: ScalarKind | "enum" | "message";
  /** Full proto name of the enum or message. */
  readonly type: string | undefined;
  readonly repeated: boolean;
  /** Repeated scalars in one length-delimited field. Decoders take both forms anyway. */
  readonly packed: boolean;
  /** `map<string, message>`; then `kind` and `type` are those of the values. */
  readonly map: boolean;
  /** 64 bits in a bigint rather than in a checked number. */
  readonly big: boolean;
  /** Written even when zero (proto2). */
  readonly always: boolean;
  /** Scalars: `undefined` when absent. */
  readonly presence: boolean;
  /** Name of the oneof, when it is a member of one. */
  readonly oneof: string | undefined;
  /** Text is not checked for broken UTF-8 (proto2). */
  readonly loose: boolean;
  readonly comment: string | undefined;
}

export interface MessageModel {
  readonly kind: "message";
  /** Such as `etcdserverpb.RangeRequest`. */
  readonly fullName: string;
  readonly className: string;
  /** Ascending by number. */
  readonly fields: readonly FieldModel[];
  readonly comment: string | undefined;
}

export interface EnumModel {
  readonly kind: "enum";
  readonly fullName: string;
  readonly constName: string;
  readonly values: readonly { readonly name: string; readonly number: number }[];
  readonly comment: string | undefined;
}

export interface MethodModel {
  readonly name: string;
  readonly request: string;
  readonly response: string;
  readonly clientStreams: boolean;
  readonly serverStreams: boolean;
  readonly gateway: readonly string[];
}

export interface ServiceModel {
  /** Such as `etcdserverpb.KV`. */
  readonly fullName: string;
  readonly methods: readonly MethodModel[];
}

export interface FileModel {
  /** Path of the .proto file, from the folder of its package's .proto files. */
  readonly name: string;
  /** Path of the generated module without its ending, such as `raft-internal`. */
  readonly module: string;
  readonly comment: string | undefined;
  readonly types: readonly (MessageModel | EnumModel)[];
  readonly services: readonly ServiceModel[];
}

/** The .proto files of one of our packages. */
export interface PackageModel {
  readonly files: readonly FileModel[];
  /** Every type the files name, those of other packages included, by full name. */
  readonly types: ReadonlyMap<string, MessageModel | EnumModel>;
}
