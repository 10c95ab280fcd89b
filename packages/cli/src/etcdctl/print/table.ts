// The table format, for lists of members and endpoints.

import type { MemberListResponse } from "@etcd-ts/api";
import { renderTable } from "../../shared/table.ts";
import {
  type EndpointHash,
  type EndpointHealth,
  type EndpointStatus,
  Printer,
  type PrinterOptions,
} from "./printer.ts";
import { hashRows, healthRows, memberRows, type Rows, statusRows } from "./rows.ts";

export class TablePrinter extends Printer {
  constructor(options: PrinterOptions) {
    super("table", options);
  }

  override memberList(response: MemberListResponse): void {
    this.#draw(memberRows(response));
  }

  override endpointHealth(list: readonly EndpointHealth[]): void {
    this.#draw(healthRows(list));
  }

  override endpointStatus(list: readonly EndpointStatus[]): void {
    this.#draw(statusRows(list));
  }

  override endpointHashKv(list: readonly EndpointHash[]): void {
    this.#draw(hashRows(list));
  }

  #draw(rows: Rows): void {
    this.output.out(renderTable(rows.header, rows.rows));
  }
}
