// Shape of the tables in `gen/json-tables.ts`.

export interface JsonField {
  /** As declared in the .proto file: what is written. */
  readonly name: string;
  readonly property: string;
  readonly kind:
    | "bytes"
    | "string"
    | "bool"
    | "int32"
    | "uint32"
    | "int64"
    | "uint64"
    | "big-int64"
    | "big-uint64"
    | "enum"
    | "message";
  /** `optional`: undefined when absent. `map`: from string. */
  readonly shape: "plain" | "optional" | "list" | "map";
  /** Full name of the message. */
  readonly message?: string;
  /** Names of the enum by number. */
  readonly names?: readonly string[];
  readonly oneof?: string;
}

export interface JsonMessage {
  create(): object;
  /** Ascending by field number. */
  readonly fields: readonly JsonField[];
}
