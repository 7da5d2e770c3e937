import { writeFileSync } from 'node:fs';
import Mocha from 'mocha';
import type { SuiteReport } from './report';

/** Called by VS Code inside the extension host. The report is a file, because a host that crashes answers nothing. */
export async function run(): Promise<void> {
  const mocha = new Mocha({ ui: 'bdd', timeout: 120_000, slow: 5_000 });
  mocha.suite.emit('pre-require', globalThis, '', mocha);
  // Only now: the suites call the globals that `pre-require` has just made. In this order: the later ones find the limits of the former.
  await import('./manifest.suite');
  await import('./layers.suite');
  await import('./analysis.suite');
  await import('./analysis-file.suite');
  await import('./python.suite');
  const tests: { title: string; error: string | null }[] = [];
  return new Promise((resolve, reject) => {
    mocha
      .run((failed) => {
        const report: SuiteReport = { passed: tests.filter(({ error }) => error === null).length, failed, tests };
        writeFileSync(process.env['PRUNING_LIMIT_REPORT']!, JSON.stringify(report));
        if (failed > 0) reject(new Error(`${failed} tests failed`));
        else resolve();
      })
      .on('pass', (test) => tests.push({ title: test.fullTitle(), error: null }))
      .on('fail', (test, error: Error) => tests.push({ title: test.fullTitle(), error: error.stack ?? String(error) }));
  });
}
