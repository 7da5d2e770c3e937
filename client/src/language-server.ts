import * as vscode from 'vscode';
import type { LanguageClient } from 'vscode-languageclient/node';
import { LAYERS_LANGUAGE, LAYERS_SCHEME } from '../../protocol/layers-uri';
import type { DoctorAnswer, DoctorParams } from '../../protocol/doctor';
import {
  Method,
  type CancelAnswer,
  type EditAnswer,
  type InspectParams,
  type JobEvent,
  type JobId,
  type JobParams,
  type LayersAnswer,
  type OptionsAnswer,
  type PruneAnswer,
  type PruneParams,
  type RenameParams,
  type ResultAnswer,
  type ResumeAnswer,
  type RunParams,
  type RunsAnswer,
  type ServerOptions,
  type StartAnswer,
  type StartParams,
} from '../../protocol/messages';
import type { RunId } from '../../protocol/runs';
import { traceChannel } from './output';

/** The language server as the rest of the client sees it: typed questions and events. */
export class Server implements vscode.Disposable {
  private readonly client: Promise<LanguageClient>;
  private readonly output = vscode.window.createOutputChannel('Pruning Limit', { log: true });
  private readonly trace = traceChannel(this.output);
  private readonly events = new vscode.EventEmitter<JobEvent>();
  private readonly stops = new vscode.EventEmitter<void>();
  readonly onEvent = this.events.event;
  /** The server is gone, and with it every compute process; it is started again. */
  readonly onStop = this.stops.event;
  private readonly starts = new vscode.EventEmitter<void>();
  /** The server answers, for the first time or again. */
  readonly onStart = this.starts.event;
  private readonly runChanges = new vscode.EventEmitter<void>();
  /** `runs` has another answer now. */
  readonly onRunsChange = this.runChanges.event;

  constructor(context: vscode.ExtensionContext) {
    this.client = this.makeClient(context);
  }

  /** The library that speaks to the server is loaded in a turn of its own: it is most of this extension. */
  private async makeClient(context: vscode.ExtensionContext): Promise<LanguageClient> {
    await new Promise((resolve) => setImmediate(resolve));
    const { LanguageClient, RevealOutputChannelOn, State, TransportKind } = await import('vscode-languageclient/node');
    const storage = context.storageUri ?? context.globalStorageUri;
    const module = vscode.Uri.joinPath(context.extensionUri, 'dist', 'server.js').fsPath;
    const client = new LanguageClient(
      // Also the section of the setting `pruningLimit.trace.server`.
      'pruningLimit',
      'Pruning Limit',
      { module, transport: TransportKind.ipc },
      {
        documentSelector: [
          { scheme: LAYERS_SCHEME, language: LAYERS_LANGUAGE },
          { scheme: 'file', pattern: '**/pruning-limit.json' },
          { scheme: 'file', language: 'python' },
        ],
        initializationOptions: {
          storage: vscode.Uri.joinPath(storage, 'runs').fsPath,
          ...(vscode.l10n.uri && { l10n: vscode.l10n.uri.fsPath }),
        } satisfies ServerOptions,
        outputChannel: this.output,
        traceOutputChannel: this.trace,
        revealOutputChannelOn: RevealOutputChannelOn.Never,
      },
    );
    client.onNotification(Method.event, (event: JobEvent) => this.events.fire(event));
    client.onNotification(Method.runsChanged, () => this.runChanges.fire());
    client.onDidChangeState(({ newState }) => {
      if (newState === State.Stopped) this.stops.fire();
      if (newState === State.Running) this.starts.fire();
    });
    return client;
  }

  async start(): Promise<void> {
    await (await this.client).start();
  }

  async dispose(): Promise<void> {
    this.events.dispose();
    this.stops.dispose();
    this.starts.dispose();
    this.runChanges.dispose();
    await (await this.client).dispose();
    this.trace.dispose();
    this.output.dispose();
  }

  showOutput(): void {
    this.output.show();
  }

  options(checkpoint: vscode.Uri): Promise<OptionsAnswer> {
    return this.ask(Method.options, of(checkpoint));
  }

  async result(checkpoint: vscode.Uri): Promise<ResultAnswer['result']> {
    return (await this.ask<ResultAnswer>(Method.result, of(checkpoint))).result;
  }

  async layers(checkpoint: vscode.Uri): Promise<string> {
    return (await this.ask<LayersAnswer>(Method.layers, of(checkpoint))).text;
  }

  async startJob(request: StartParams): Promise<JobId> {
    return (await this.ask<StartAnswer>(Method.start, request)).job;
  }

  prune(params: PruneParams): Promise<PruneAnswer> {
    return this.ask(Method.prune, params);
  }

  /** Goes on with what was interrupted; the jobs that run now. */
  async resume(): Promise<ResumeAnswer['jobs']> {
    return (await this.ask<ResumeAnswer>(Method.resume)).jobs;
  }

  async runs(): Promise<RunsAnswer['runs']> {
    return (await this.ask<RunsAnswer>(Method.runs)).runs;
  }

  async runResult(run: RunId): Promise<ResultAnswer['result']> {
    const answer = await this.ask<ResultAnswer>(Method.runResult, { run } satisfies RunParams);
    return answer.result;
  }

  renameRun(run: RunId, name: string): Promise<EditAnswer> {
    return this.ask(Method.renameRun, { run, name } satisfies RenameParams);
  }

  deleteRun(run: RunId): Promise<EditAnswer> {
    return this.ask(Method.deleteRun, { run } satisfies RunParams);
  }

  examine(editor: string, token: vscode.CancellationToken): Promise<DoctorAnswer> {
    return this.ask<DoctorAnswer>(
      Method.doctor,
      { editor, trusted: vscode.workspace.isTrusted } satisfies DoctorParams,
      token,
    );
  }

  async cancelJob(job: JobId): Promise<boolean> {
    const answer = await this.ask<CancelAnswer>(Method.cancel, { job } satisfies JobParams);
    return answer.cancelled;
  }

  private async ask<R>(method: string, params?: object, token?: vscode.CancellationToken): Promise<R> {
    const client = await this.client;
    return params === undefined ? client.sendRequest<R>(method, token) : client.sendRequest<R>(method, params, token);
  }
}

function of(checkpoint: vscode.Uri): InspectParams {
  return { uri: checkpoint.toString() };
}
