/** Name of the test that runs last; the reporter closes the run when it sees it. */
export const endOfTests = "end of tests";

/** Name of the test behind those of a file; counts for nothing. */
export const endOfFile = "end of file";
