/** Runs the suite in code-server's extension host; the browser only opens the window. */
import { existsSync, readFileSync, rmSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { launchBrowser } from '../rig/browser';
import { CodeServer } from '../rig/code-server';
import { sampleWorkspace } from '../rig/workspace';
import { tell, type SuiteReport } from './report';

export async function runInCodeServer(): Promise<SuiteReport> {
  const workspace = sampleWorkspace();
  workspace.configure();
  const report = join(workspace.folder, '..', `report-${process.pid}.json`);
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
      ['extensionTestsPath', remote(resolve('out/test/suite/index.cjs'))],
      ['skipWelcome', 'true'],
    ];
    const query = new URLSearchParams({ folder: workspace.folder, payload: JSON.stringify(payload) });
    await page.goto(`${server.url}/?${query.toString()}`);
    const code = await exit.catch((error: Error) => error.message);
    if (!existsSync(report)) throw new Error(`no report from the extension host (${code})\n${log}`);
    return JSON.parse(readFileSync(report, 'utf8')) as SuiteReport;
  } finally {
    await browser.close();
    server.stop();
    workspace.remove();
    rmSync(report, { force: true });
  }
}

void tell(runInCodeServer);
