/** Something that must never happen did. `checker` says who noticed. */
export class Violation extends Error {
  override readonly name = "Violation";
  readonly checker: string;

  constructor(checker: string, message: string) {
    super(`${checker}: ${message}`);
    this.checker = checker;
  }
}
