// Tables in box-drawing lines: header centred and in capitals, cells at the right, no line between rows.

export function renderTable(
  header: readonly string[],
  rows: readonly (readonly string[])[],
): string {
  const titles = header.map((it) => it.toUpperCase().replaceAll("_", " "));
  const cells = rows.map((row) => row.map((cell) => cell.trim().split("\n")));
  const widths = titles.map((title, column) =>
    Math.max(
      displayWidth(title),
      ...cells.flatMap((row) => (row[column] as string[]).map((it) => displayWidth(it.trim()))),
    ),
  );
  const rule = (left: string, middle: string, right: string) =>
    `${left}${widths.map((width) => "─".repeat(width + 2)).join(middle)}${right}\n`;
  const line = (texts: readonly string[]) => `│${texts.map((it) => ` ${it} `).join("│")}│\n`;

  let text = rule("┌", "┬", "┐");
  text += line(titles.map((title, i) => centre(title, widths[i] as number)));
  text += rows.length === 0 ? "" : rule("├", "┼", "┤");
  for (const row of cells) {
    const height = Math.max(...row.map((it) => it.length));
    for (let i = 0; i < height; i++) {
      text += line(
        row.map((it, column) => atRight((it[i] ?? "").trim(), widths[column] as number)),
      );
    }
  }
  return text + rule("└", "┴", "┘");
}

function centre(text: string, width: number): string {
  const space = width - displayWidth(text);
  const left = Math.floor(space / 2);
  return " ".repeat(left) + text + " ".repeat(space - left);
}

function atRight(text: string, width: number): string {
  return " ".repeat(width - displayWidth(text)) + text;
}

/** Columns on a terminal: East Asian wide characters take two, combining marks none. */
function displayWidth(text: string): number {
  let width = 0;
  for (const char of text) {
    if (/\p{M}/u.test(char)) continue;
    width +=
      /[\u1100-\u115f\u2e80-\ua4cf\uac00-\ud7a3\uf900-\ufaff\ufe30-\ufe6f\uff00-\uff60\uffe0-\uffe6]|\p{Emoji_Presentation}/u.test(
        char,
      )
        ? 2
        : 1;
  }
  return width;
}
