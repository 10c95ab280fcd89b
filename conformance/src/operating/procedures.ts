// Procedures out of a document: the console blocks that a comment marks.
//
//   <!-- run: cluster -->               the procedure that the next block is a part of; its blocks run in one shell,
//   ```console                          one after the other, in an empty folder
//   $ etcdctl put greeting \            a command, with all of its lines; a command goes on until the next `$ `, if
//       hello                           its line ends in a backslash, or leaves braces, quotes or a here-document open
//   OK                                  what it prints, standard error included, log lines in JSON excluded
//   ```
//
// `<!-- run: migration, stock -->` marks a procedure that needs a stock release beside ours, at /opt/etcd in the text.

export interface Step {
  /** Line of the document, from 1. */
  readonly line: number;
  readonly command: string;
  readonly expected: readonly string[];
}

export interface Procedure {
  readonly name: string;
  readonly needsStock: boolean;
  readonly steps: readonly Step[];
}

const marker = /^<!-- run: ([a-z-]+)(, stock)? -->$/;

/** Throws an `Error` that names the line of a marker without a block. */
export function readProcedures(text: string): Procedure[] {
  const found = new Map<string, { needsStock: boolean; steps: Step[] }>();
  const lines = text.split("\n");
  for (let i = 0; i < lines.length; i++) {
    const mark = marker.exec(lines[i] as string);
    if (mark === null) {
      if (/<!--\s*run/.test(lines[i] as string)) throw new Error(`line ${i + 1}: a strange marker`);
      continue;
    }
    const [, name = "", stock] = mark;
    if (lines[i + 1] !== "```console") throw new Error(`line ${i + 1}: no console block follows`);
    const first = i + 2;
    for (i = first; i < lines.length && lines[i] !== "```"; i++);
    const procedure = found.get(name) ?? { needsStock: false, steps: [] };
    procedure.needsStock ||= stock !== undefined;
    procedure.steps.push(...readSteps(lines.slice(first, i), first + 1));
    found.set(name, procedure);
  }
  return [...found].map(([name, procedure]) => ({ name, ...procedure }));
}

function readSteps(lines: readonly string[], firstLine: number): Step[] {
  const steps: Step[] = [];
  for (let i = 0; i < lines.length; ) {
    const line = firstLine + i;
    if (!(lines[i] as string).startsWith("$ ")) throw new Error(`line ${line}: no command`);
    let command = (lines[i++] as string).slice(2);
    while (i < lines.length && isOpen(command)) command += `\n${lines[i++]}`;
    const expected: string[] = [];
    while (i < lines.length && !(lines[i] as string).startsWith("$ ")) {
      expected.push(lines[i++] as string);
    }
    steps.push({ line, command, expected });
  }
  return steps;
}

/** Whether a shell would wait for more lines of the command. */
function isOpen(command: string): boolean {
  if (command.endsWith("\\")) return true;
  const word = /<<\s*'?(\w+)'?/.exec(command)?.[1];
  if (word !== undefined && !command.split("\n").includes(word)) return true;
  const plain = command.replace(/\\./gs, "").replace(/'[^']*'|"[^"]*"/gs, "");
  if (/['"]/.test(plain)) return true;
  const count = (it: RegExp): number => (plain.match(it) ?? []).length;
  if (count(/\{/g) > count(/\}/g)) return true;
  return count(/(?<![\w-])do(?![\w-])/g) > count(/(?<![\w-])done(?![\w-])/g);
}
