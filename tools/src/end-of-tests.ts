/** Name of the test that runs last; the reporter closes the run when it sees it. */
export const endOfTests = "end of tests";
