import { ExitCode, Failure } from "../../shared/exit.ts";
import type { Printer, PrinterOptions } from "./printer.ts";

/** The printer of a format; throws `Failure` when there is no such format. Loads only that one. */
export async function makePrinter(format: string, options: PrinterOptions): Promise<Printer> {
  switch (format) {
    case "simple":
      return new (await import("./simple.ts")).SimplePrinter(options);
    case "json":
      return new (await import("./json.ts")).JsonPrinter(options);
    case "fields":
      return new (await import("./fields.ts")).FieldsPrinter(options);
    case "table":
      return new (await import("./table.ts")).TablePrinter(options);
    case "protobuf":
      return new (await import("./protobuf.ts")).ProtobufPrinter(options);
    default:
      throw new Failure(ExitCode.badFeature, "unsupported output format");
  }
}
