import { t } from '@vscode/l10n';
import * as vscode from 'vscode';
import { nameOf } from './checkpoint';
import type { Jobs } from './jobs';

/** One short item in the status bar while an analysis runs. */
export function showStatus(jobs: Jobs): vscode.Disposable {
  const item = vscode.window.createStatusBarItem('pruningLimit.status', vscode.StatusBarAlignment.Left);
  item.name = 'Pruning Limit';
  let active = false;
  const update = () => {
    const running = jobs.running();
    if (active !== running.length > 0) {
      active = running.length > 0;
      void vscode.commands.executeCommand('setContext', 'pruningLimit.running', active);
    }
    const first = running[0];
    if (!first) {
      item.hide();
      return;
    }
    const { fraction, message } = first.running;
    const share = fraction === null ? '' : ` ${Math.floor(fraction * 100)} %`;
    item.text =
      running.length > 1
        ? `$(sync~spin) ${t('{0} pruning limits', running.length)}`
        : `$(sync~spin) ${t('Pruning limit')}${share}`;
    item.tooltip = running.length > 1 ? running.map(({ checkpoint }) => nameOf(checkpoint)).join('\n') : message;
    item.accessibilityInformation = {
      label: `${t('Computing the pruning limit of {0}', nameOf(first.checkpoint))}${share}`,
    };
    item.command = {
      title: t('Show Limit'),
      command: 'pruningLimit.showPanel',
      arguments: [first.checkpoint.toString()],
    };
    item.show();
  };
  return vscode.Disposable.from(jobs.onChange(update), item);
}
