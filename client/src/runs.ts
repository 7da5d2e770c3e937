import { t } from '@vscode/l10n';
import * as vscode from 'vscode';
import { duration, limitText, operatorName, percentRange } from '../../protocol/numbers';
import type { Run, RunLimit } from '../../protocol/runs';
import { nameOf } from './checkpoint';
import type { Jobs } from './jobs';
import type { Server } from './language-server';

export const RUNS_VIEW = 'pruningLimit.runs';

/** The name of a run as the user reads it. */
export function titleOf({ name, checkpoint }: Run): string {
  return name ?? nameOf(vscode.Uri.file(checkpoint));
}

/** Running and past analyses, the newest first: the view of that name. */
export class RunsView implements vscode.TreeDataProvider<Run>, vscode.Disposable {
  private readonly changes = new vscode.EventEmitter<Run | undefined>();
  readonly onDidChangeTreeData = this.changes.event;
  private readonly tree: vscode.TreeView<Run>;
  private readonly disposables: vscode.Disposable[];
  private shown: readonly Run[] = [];
  private lastUpdate = 0;
  private pending: NodeJS.Timeout | undefined;

  constructor(
    private readonly server: Server,
    private readonly jobs: Jobs,
  ) {
    this.tree = vscode.window.createTreeView(RUNS_VIEW, {
      treeDataProvider: this,
      canSelectMany: true,
      showCollapseAll: false,
    });
    this.disposables = [
      this.changes,
      this.tree,
      server.onStart(() => this.refresh()),
      server.onRunsChange(() => this.refresh()),
      jobs.onChange(({ change }) => {
        if (change.kind === 'running' || change.kind === 'partial') this.progress();
        else this.refresh();
      }),
    ];
  }

  dispose(): void {
    clearTimeout(this.pending);
    for (const disposable of this.disposables) disposable.dispose();
  }

  async getChildren(parent?: Run): Promise<Run[]> {
    if (parent) return [];
    this.shown = await this.server.runs().catch(() => []);
    await vscode.commands.executeCommand('setContext', 'pruningLimit.hasRuns', this.shown.length > 0);
    return [...this.shown];
  }

  getTreeItem(run: Run): vscode.TreeItem {
    const item = new vscode.TreeItem(titleOf(run));
    const job = this.jobOf(run);
    item.id = run.id;
    item.description = run.state === 'running' ? progressOf(job) : answerOf(run);
    item.iconPath = ICONS[run.state];
    item.contextValue = `run-${run.state}`;
    item.tooltip = tooltipOf(run);
    item.accessibilityInformation = {
      label: [...new Set([titleOf(run), STATES[run.state], item.description])].join(', '),
    };
    item.command = { title: t('Open Report'), command: 'pruningLimit.openRun', arguments: [run] };
    return item;
  }

  /** The runs a command is about: those selected, or the one it was used on. */
  chosen(clicked: unknown, selected: unknown): readonly Run[] {
    if (Array.isArray(selected) && selected.length > 0) return selected as Run[];
    return isRun(clicked) ? [clicked] : this.tree.selection;
  }

  private refresh(): void {
    this.changes.fire(undefined);
  }

  /** Progress comes ten times a second; a row that flickers is of no use. A run the view does not know is fetched. */
  private progress(): void {
    if (this.pending) return;
    const wait = Math.max(0, this.lastUpdate + 1000 - Date.now());
    this.pending = setTimeout(() => {
      this.pending = undefined;
      this.lastUpdate = Date.now();
      const running = this.shown.filter(({ state }) => state === 'running');
      if (running.length < this.jobs.running().length) this.refresh();
      else for (const run of running) this.changes.fire(run);
    }, wait);
  }

  private jobOf(run: Run): ReturnType<Jobs['watch']> {
    return this.jobs.watch(vscode.Uri.file(run.checkpoint));
  }
}

function isRun(value: unknown): value is Run {
  return typeof value === 'object' && value !== null && 'id' in value && 'checkpoint' in value;
}

const STATES: Readonly<Record<Run['state'], string>> = {
  running: t('running'),
  done: t('done'),
  failed: t('failed'),
  cancelled: t('cancelled'),
};

const ICONS: Readonly<Record<Run['state'], vscode.ThemeIcon>> = {
  running: new vscode.ThemeIcon('sync~spin'),
  done: new vscode.ThemeIcon('pass', new vscode.ThemeColor('testing.iconPassed')),
  failed: new vscode.ThemeIcon('error', new vscode.ThemeColor('testing.iconFailed')),
  cancelled: new vscode.ThemeIcon('circle-slash'),
};

/** `42 %, 66.9–97.3 %, 3 min left` */
function progressOf(job: ReturnType<Jobs['watch']>): string {
  if (!job) return t('in another window');
  const { fraction, remaining } = job.running;
  const [limit] = job.partial?.result.limits ?? [];
  return [
    fraction === null ? t('starting') : `${Math.floor(fraction * 100)} %`,
    limit && percentRange(limit.interval),
    remaining !== null && t('{0} left', duration(remaining)),
  ]
    .filter(Boolean)
    .join(', ');
}

function answerOf(run: Run): string {
  if (run.state === 'failed') return run.error ?? t('failed');
  if (run.state === 'cancelled') return t('cancelled');
  const [limit] = run.limits;
  return limit ? limitText(limit) : t('no limit computed');
}

function tooltipOf(run: Run): string {
  const limit = (one: RunLimit): string => `${operatorName[one.operator]}: ${limitText(one)}`;
  return [
    run.checkpoint,
    t('started {0}', new Date(run.started).toLocaleString(vscode.env.language)),
    run.ended !== null && t('{0} after {1}', STATES[run.state], duration((run.ended - run.started) / 1000)),
    ...run.limits.map(limit),
    run.error,
  ]
    .filter(Boolean)
    .join('\n');
}
