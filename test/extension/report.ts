export interface SuiteReport {
  readonly passed: number;
  readonly failed: number;
  readonly tests: readonly { readonly title: string; readonly error: string | null }[];
}

/** Prints a line per test and, last, the counts as JSON. */
export async function tell(run: () => Promise<SuiteReport>): Promise<void> {
  let report: SuiteReport;
  try {
    report = await run();
  } catch (error) {
    report = { passed: 0, failed: 1, tests: [{ title: 'extension host', error: String(error) }] };
  }
  for (const { title, error } of report.tests) console.log(error === null ? `✔ ${title}` : `✖ ${title}\n${error}`);
  console.log(JSON.stringify({ passed: report.passed, failed: report.failed }));
  process.exit(report.failed > 0 ? 1 : 0);
}
