/** Runs the suite in a desktop VS Code: the one VSCODE_EXECUTABLE names, else a downloaded one. */
import { existsSync, readFileSync, rmSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { runTests } from '@vscode/test-electron';
import { sampleWorkspace } from '../rig/workspace';
import { tell, type SuiteReport } from './report';

export async function runInElectron(): Promise<SuiteReport> {
  const workspace = sampleWorkspace();
  workspace.configure();
  const report = join(workspace.folder, '..', `report-${process.pid}.json`);
  const executable = process.env['VSCODE_EXECUTABLE'];
  try {
    await runTests({
      ...(executable && { vscodeExecutablePath: executable }),
      extensionDevelopmentPath: resolve('.'),
      extensionTestsPath: resolve('out/test/suite/index.cjs'),
      extensionTestsEnv: { PRUNING_LIMIT_REPORT: report },
      launchArgs: [workspace.folder, '--disable-extensions', '--disable-workspace-trust'],
    }).catch((error: unknown) => {
      // Failed tests are in the report; without one, this is why.
      if (!existsSync(report)) throw error;
    });
    if (!existsSync(report)) throw new Error('no report from the extension host');
    return JSON.parse(readFileSync(report, 'utf8')) as SuiteReport;
  } finally {
    workspace.remove();
    rmSync(report, { force: true });
  }
}

void tell(runInElectron);
