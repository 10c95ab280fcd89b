/** What the other side sent is no HTTP/1.1, or more of it than we take. `status` is how a server answers. */
export class Http1Error extends Error {
  override readonly name = "Http1Error";
  readonly status: number;

  constructor(status: number, message: string) {
    super(message);
    this.status = status;
  }
}
