/**
 * The extension's side of VS Code.
 *
 * Architecture invariant: nothing here reads a checkpoint or computes. It asks
 * the language server and shows what it answers.
 */
import { t } from '@vscode/l10n';
import './l10n';
import * as vscode from 'vscode';
import type { AnalysisOptions } from '../../protocol/analysis';
import { headline } from '../../protocol/numbers';
import { chooseCheckpoint, nameOf } from './checkpoint';
import { Doctor } from './doctor';
import { Jobs, type Outcome } from './jobs';
import { LayersProvider } from './layers';
import { LimitPanels } from './panel';
import { Server } from './language-server';
import { registerOpenWith } from './open-with';
import { Pruner } from './prune';
import { RunCommands } from './run-commands';
import { RunPanels } from './run-panel';
import { RunsView } from './runs';
import { openSample } from './sample';
import { showStatus } from './status';
import { installTensorFlow } from './tensorflow';
import { runWizard } from './wizard';

let server: Server | undefined;

export async function activate(context: vscode.ExtensionContext): Promise<void> {
  server = new Server(context);
  const jobs = new Jobs(server);
  const layers = new LayersProvider(server);
  const panels = new LimitPanels(context.extensionUri, server, jobs);
  const editor = new Editor(server, jobs, layers, panels);
  const pruner = new Pruner(server);
  const doctor = new Doctor(server);
  const runs = new RunsView(server, jobs);
  const runPanels = new RunPanels(context.extensionUri, server);
  const runCommands = new RunCommands(server, jobs, runs, runPanels, panels);
  const commands = {
    compute: (uri?: unknown) => editor.compute(uri),
    computeDeeper: (uri?: unknown) => editor.compute(uri, DEEPER),
    cancel: (uri?: unknown) => editor.cancel(uri),
    showLayers: (uri?: unknown, layer?: unknown) => editor.showLayers(uri, layer),
    showPanel: (uri?: unknown, figure?: unknown) => editor.showPanel(uri, figure),
    prune: async (uri?: unknown, target?: unknown) =>
      (await trusted()) ? pruner.run(uri ?? panels.active(), target) : undefined,
    configure: (uri?: unknown) => editor.configure(uri),
    showOutput: () => server?.showOutput(),
    doctor: () => doctor.examine(),
    copyDoctor: () => doctor.copy(),
    installTensorFlow: () => installTensorFlow(context.extensionUri),
    openSample: (place?: unknown) => openSample(context.extensionUri, place),
    openRun: (run?: unknown) => runCommands.open(run),
    compareRuns: (run?: unknown, selected?: unknown) => runCommands.compare(run, selected),
    renameRun: (run?: unknown) => runCommands.rename(run),
    deleteRun: (run?: unknown, selected?: unknown) => runCommands.delete(run, selected),
    cancelRun: (run?: unknown) => runCommands.cancel(run),
  };
  context.subscriptions.push(
    jobs,
    layers,
    panels,
    doctor,
    runs,
    runPanels,
    registerOpenWith(layers),
    showStatus(jobs),
    jobs.onChange(({ checkpoint, change }) => {
      if (change.kind === 'done') layers.refresh(checkpoint);
    }),
    ...Object.entries(commands).map(([name, run]) => vscode.commands.registerCommand(`pruningLimit.${name}`, run)),
  );
  const resume = (): void => {
    // What a run opens is named by the workspace, so it waits for trust like every run.
    if (vscode.workspace.isTrusted) void jobs.resume();
  };
  context.subscriptions.push(server.onStart(resume), vscode.workspace.onDidGrantWorkspaceTrust(resume));
  await server.start();
}

export async function deactivate(): Promise<void> {
  await server?.dispose();
}

/** How much deeper a run is that is to narrow a bracket. */
const DEEPER = 4;

/** What the commands do. */
class Editor {
  constructor(
    private readonly server: Server,
    private readonly jobs: Jobs,
    private readonly layers: LayersProvider,
    private readonly panels: LimitPanels,
  ) {}

  /**
   * @param factor of steps and minutes over what is configured
   * @returns how the analysis ended; undefined when none was started
   */
  async compute(argument: unknown, factor = 1): Promise<Outcome['kind'] | undefined> {
    if (!(await trusted())) return undefined;
    const checkpoint = await chooseCheckpoint(argument ?? this.panels.active());
    if (!checkpoint) return undefined;
    if (this.jobs.watch(checkpoint)) {
      this.panels.show(checkpoint);
      return undefined;
    }
    const options = await this.optionsFor(checkpoint);
    if (!options) return undefined;
    this.panels.show(checkpoint);
    const { steps, minutes } = options;
    const deeper = { ...options, steps: factor * steps, minutes: factor * minutes };
    const outcome = await this.jobs.run(checkpoint, deeper);
    // The question is answered where the user looks; whoever waits for the command does not wait for the answer to be read.
    void this.tell(checkpoint, outcome);
    return outcome.kind;
  }

  async cancel(argument: unknown): Promise<void> {
    const running = this.jobs.running();
    const only = running.length === 1 ? running[0]!.checkpoint : undefined;
    const checkpoint = argument === undefined ? (this.panels.active() ?? only) : await chooseCheckpoint(argument);
    if (checkpoint && this.jobs.watch(checkpoint)) return this.jobs.cancel(checkpoint);
    const items = running.map(({ checkpoint }) => ({ label: nameOf(checkpoint), checkpoint }));
    const picked =
      items.length > 0 && (await vscode.window.showQuickPick(items, { placeHolder: t('Analysis to cancel') }));
    if (picked) await this.jobs.cancel(picked.checkpoint);
  }

  async showLayers(argument: unknown, layer: unknown): Promise<void> {
    const fromPanel = this.panels.active();
    const checkpoint = await chooseCheckpoint(argument ?? fromPanel);
    if (!checkpoint) return;
    // Beside the panel whose bar or button was used; from a menu or the palette in place.
    const column = fromPanel ? vscode.ViewColumn.Beside : undefined;
    await this.layers.show(checkpoint, typeof layer === 'string' ? layer : undefined, column);
  }

  /** @param figure name of the one to be brought into view; menus give other things */
  async showPanel(argument: unknown, figure: unknown): Promise<void> {
    const checkpoint = await chooseCheckpoint(argument);
    if (checkpoint) this.panels.show(checkpoint, typeof figure === 'string' ? figure : undefined);
  }

  /** Opens the analysis file that decides about a checkpoint, after asking for what it must say if there is none. */
  async configure(argument: unknown): Promise<void> {
    const checkpoint = await chooseCheckpoint(argument ?? this.panels.active());
    if (!checkpoint) return;
    const answer = await this.server.options(checkpoint);
    if ('missing' in answer) {
      const written = await this.ask(checkpoint, answer.file);
      if (written) await vscode.window.showTextDocument(written);
    } else if (answer.file === null) {
      await openSettings();
    } else {
      await vscode.window.showTextDocument(vscode.Uri.file(answer.file));
    }
  }

  /** What the analysis file says; the wizard writes it on the first run. */
  private async optionsFor(checkpoint: vscode.Uri): Promise<AnalysisOptions | undefined> {
    let answer = await this.server.options(checkpoint);
    if ('missing' in answer) {
      const file = await this.ask(checkpoint, answer.file);
      if (!file) return undefined;
      void this.tellWritten(file);
      answer = await this.server.options(checkpoint);
    }
    if ('options' in answer) return answer.options;
    if ('error' in answer) void this.tellError(answer.error.message, answer.file);
    return undefined;
  }

  private async ask(checkpoint: vscode.Uri, existing: string | null): Promise<vscode.Uri | undefined> {
    try {
      return await runWizard(checkpoint, existing);
    } catch (error) {
      void this.tellError(error instanceof Error ? error.message : String(error), existing);
      return undefined;
    }
  }

  private async tell(checkpoint: vscode.Uri, outcome: Outcome): Promise<void> {
    if (outcome.kind === 'failed') {
      const answer = await this.server.options(checkpoint).catch(() => undefined);
      await this.tellError(outcome.error.message, answer?.file ?? null);
    } else if (outcome.kind === 'done' && !this.panels.isVisible(checkpoint)) {
      const [limit] = outcome.result.limits;
      const text = limit ? headline(limit) : t('No limit was computed');
      const show = t('Show Limit');
      const picked = await vscode.window.showInformationMessage(`${nameOf(checkpoint)}: ${text}`, show);
      if (picked === show) this.panels.show(checkpoint);
    }
  }

  private async tellWritten(file: vscode.Uri): Promise<void> {
    const open = t('Open');
    const text = t('The data of this checkpoint was noted in {0}.', vscode.workspace.asRelativePath(file));
    if ((await vscode.window.showInformationMessage(text, open)) === open) await vscode.window.showTextDocument(file);
  }

  /** An error with the buttons that lead on: to where it can be put right, and to what the server said. */
  private async tellError(message: string, file: string | null): Promise<void> {
    const [place, output] = [file === null ? t('Open Settings') : t('Open Analysis File'), t('Show Output')];
    const picked = await vscode.window.showErrorMessage(message, place, output);
    if (picked === output) this.server.showOutput();
    if (picked !== place) return;
    if (file === null) await openSettings();
    else await vscode.window.showTextDocument(vscode.Uri.file(file));
  }
}

async function openSettings(): Promise<void> {
  await vscode.commands.executeCommand('workbench.action.openSettings', '@ext:pruning-limit.pruning-limit');
}

/** An analysis opens files that the workspace names, so it asks for trust like anything that runs its content. */
async function trusted(): Promise<boolean> {
  if (vscode.workspace.isTrusted) return true;
  const manage = t('Manage Workspace Trust');
  const picked = await vscode.window.showErrorMessage(
    t('Limits are computed, and networks pruned, in trusted workspaces only: that runs a model from this folder.'),
    manage,
  );
  if (picked === manage) await vscode.commands.executeCommand('workbench.trust.manage');
  return false;
}
