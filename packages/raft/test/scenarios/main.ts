// `npm run raft-scenarios -- FOLDER...`: runs all scenario files of the folders, or the shared ones.
// Exit status 0 when every directive gives what its file says, 1 when one does not, 2 when there is nothing
// to run.

import { failureText, findScenarios, runScenarios } from "./runner.ts";
import { sharedScenarios } from "./shared-folder.ts";

const given = process.argv.slice(2);
const folders = given.length > 0 ? given : [sharedScenarios()];
const files = folders.flatMap((folder) => {
  try {
    return findScenarios(folder);
  } catch (error) {
    process.stderr.write(`${folder}: ${error instanceof Error ? error.message : error}\n`);
    return [];
  }
});
if (files.length === 0) {
  process.stderr.write(`no scenario files (*.txt) in ${folders.join(", ")}\n`);
  process.exitCode = 2;
} else {
  const report = runScenarios(files);
  for (const failure of report.failures) process.stdout.write(`${failureText(failure)}\n`);
  const failed = new Set(report.failures.map((failure) => failure.file)).size;
  process.stdout.write(
    `${report.files} files, ${report.directives} directives; ` +
      `${failed} files with ${report.failures.length} differences\n`,
  );
  process.exitCode = report.failures.length === 0 ? 0 : 1;
}
