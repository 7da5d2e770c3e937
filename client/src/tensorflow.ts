import { t } from '@vscode/l10n';
import { spawn } from 'node:child_process';
import * as vscode from 'vscode';

interface Choice extends vscode.QuickPickItem {
  readonly flags: readonly string[];
}

const CHOICES: readonly Choice[] = [
  { label: 'CPU', description: '@tensorflow/tfjs-node', flags: [] },
  { label: 'NVIDIA GPU', description: '@tensorflow/tfjs-node-gpu, CUDA 11.2, cuDNN 8', flags: ['--gpu'] },
];

/**
 * *Install TensorFlow.js…*: runs the command line's `install-tensorflow`, which
 * puts it where every analysis of this user finds it, tries it, and says in one
 * sentence why it failed.
 */
export async function installTensorFlow(extension: vscode.Uri): Promise<void> {
  const choice = await vscode.window.showQuickPick(CHOICES, {
    title: t('Install TensorFlow.js for the provider tfjs'),
    placeHolder: t('Downloads some 200 MB with npm and runs the install script of the package'),
  });
  if (choice === undefined) return;
  const cli = vscode.Uri.joinPath(extension, 'dist', 'cli.js').fsPath;
  const options = {
    location: vscode.ProgressLocation.Notification,
    title: t('Installing TensorFlow.js'),
    cancellable: true,
  };
  const failure = await vscode.window.withProgress(options, (_, token) =>
    run([cli, 'install-tensorflow', ...choice.flags], token),
  );
  if (failure === undefined) {
    const use = t('Use It');
    const answer = await vscode.window.showInformationMessage(t('TensorFlow.js is installed and works.'), use);
    if (answer === use) {
      const settings = vscode.workspace.getConfiguration('pruningLimit');
      await settings.update('engine.provider', 'tfjs', vscode.ConfigurationTarget.Global);
    }
  } else if (failure !== '') {
    void vscode.window.showErrorMessage(failure);
  }
}

/** Undefined when it went well, empty when it was cancelled, else the sentence in which it says why not. */
function run(args: readonly string[], token: vscode.CancellationToken): Promise<string | undefined> {
  // npm and the compiler are killed with it, as one group.
  const isGroup = process.platform !== 'win32';
  const child = spawn(process.execPath, args, {
    // Where the editor's own executable is the runtime, this makes it behave as Node.
    env: { ...process.env, ...(process.versions['electron'] && { ELECTRON_RUN_AS_NODE: '1' }) },
    stdio: ['ignore', 'ignore', 'pipe'],
    detached: isGroup,
  });
  let words = '';
  child.stderr.setEncoding('utf8').on('data', (text: string) => (words = (words + text).slice(-4000)));
  token.onCancellationRequested(() => {
    if (isGroup && child.pid !== undefined) process.kill(-child.pid, 'SIGKILL');
    else child.kill();
  });
  return new Promise((resolve) => {
    child.once('error', (error) => resolve(t('TensorFlow.js could not be installed: {0}', error.message)));
    child.once('close', (status) => {
      if (status === 0) return resolve(undefined);
      if (token.isCancellationRequested) return resolve('');
      const last = words.trim().split('\n').at(-1)!;
      resolve(last.replace(/^pruning-limit: /, '') || t('TensorFlow.js could not be installed'));
    });
  });
}
