/** Runs the suite in code-server's extension host. */
import { runInExtensionHost } from '../rig/extension-host';
import { sampleWorkspace } from '../rig/workspace';
import { tell, type SuiteReport } from './report';

export async function runInCodeServer(): Promise<SuiteReport> {
  const workspace = sampleWorkspace();
  workspace.configure();
  try {
    return await runInExtensionHost<SuiteReport>('out/test/suite/index.cjs', workspace.folder);
  } finally {
    workspace.remove();
  }
}

void tell(runInCodeServer);
