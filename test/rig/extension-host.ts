import { existsSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { launchBrowser } from './browser';
import { CodeServer } from './code-server';

/**
 * Runs a suite inside code-server's extension host, beside this extension; the
 * browser only opens the window.
 *
 * @param suite bundled script with a function `run`; what it has to say it
 *   writes to the file that `PRUNING_LIMIT_REPORT` names
 * @param folder to open
 * @returns its report, parsed
 */
export async function runInExtensionHost<R>(suite: string, folder: string): Promise<R> {
  const scratch = mkdtempSync(join(tmpdir(), 'pruning-limit-report-'));
  const report = join(scratch, 'report.json');
  const server = await CodeServer.start({
    flags: ['--vscode-option', 'enable-smoke-test-driver', '--disable-workspace-trust'],
    env: { PRUNING_LIMIT_REPORT: report },
  });
  const browser = await launchBrowser();
  try {
    const page = await browser.newPage({ viewport: { width: 1400, height: 900 } });
    let log = '';
    const exit = new Promise<number>((resolve, reject) => {
      void page.exposeFunction('codeAutomationExit', resolve);
      void page.exposeFunction('codeAutomationLog', (type: string, args: unknown[]) => {
        log = `${log}${type}: ${args.map(String).join(' ')}\n`.slice(-20_000);
      });
      page.on('crash', () => reject(new Error('the window crashed')));
      setTimeout(() => reject(new Error('no end after five minutes')), 300_000).unref();
    });
    const remote = (path: string) => `vscode-remote://${new URL(server.url).host}${path}`;
    const payload = [
      ['extensionDevelopmentPath', remote(resolve('.'))],
      ['extensionTestsPath', remote(resolve(suite))],
      ['skipWelcome', 'true'],
    ];
    const query = new URLSearchParams({ folder, payload: JSON.stringify(payload) });
    await page.goto(`${server.url}/?${query.toString()}`);
    const code = await exit.catch((error: Error) => error.message);
    if (!existsSync(report)) throw new Error(`no report from the extension host (${code})\n${log}`);
    return JSON.parse(readFileSync(report, 'utf8')) as R;
  } finally {
    await browser.close();
    server.stop();
    rmSync(scratch, { recursive: true, force: true });
  }
}
