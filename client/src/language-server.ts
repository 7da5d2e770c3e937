import * as vscode from 'vscode';
import { LanguageClient, RevealOutputChannelOn, State, TransportKind } from 'vscode-languageclient/node';
import { LAYERS_LANGUAGE, LAYERS_SCHEME } from '../../protocol/layers-uri';
import {
  Method,
  type CancelAnswer,
  type InspectParams,
  type JobEvent,
  type JobId,
  type JobParams,
  type LayersAnswer,
  type OptionsAnswer,
  type PruneAnswer,
  type PruneParams,
  type ResultAnswer,
  type ServerOptions,
  type StartAnswer,
  type StartParams,
} from '../../protocol/messages';

/** The language server as the rest of the client sees it: typed questions and events. */
export class Server implements vscode.Disposable {
  private readonly client: LanguageClient;
  private readonly events = new vscode.EventEmitter<JobEvent>();
  private readonly stops = new vscode.EventEmitter<void>();
  readonly onEvent = this.events.event;
  /** The server is gone, and every job with it; it is started again. */
  readonly onStop = this.stops.event;

  constructor(context: vscode.ExtensionContext) {
    const storage = context.storageUri ?? context.globalStorageUri;
    const module = vscode.Uri.joinPath(context.extensionUri, 'dist', 'server.js').fsPath;
    this.client = new LanguageClient(
      // Also the section of the setting `pruningLimit.trace.server`.
      'pruningLimit',
      'Pruning Limit',
      { module, transport: TransportKind.ipc },
      {
        documentSelector: [
          { scheme: LAYERS_SCHEME, language: LAYERS_LANGUAGE },
          { scheme: 'file', pattern: '**/pruning-limit.json' },
        ],
        initializationOptions: {
          storage: vscode.Uri.joinPath(storage, 'results').fsPath,
        } satisfies ServerOptions,
        revealOutputChannelOn: RevealOutputChannelOn.Never,
      },
    );
    this.client.onNotification(Method.event, (event: JobEvent) => this.events.fire(event));
    this.client.onDidChangeState(({ newState }) => {
      if (newState === State.Stopped) this.stops.fire();
    });
  }

  start(): Promise<void> {
    return this.client.start();
  }

  async dispose(): Promise<void> {
    this.events.dispose();
    this.stops.dispose();
    await this.client.dispose();
  }

  showOutput(): void {
    this.client.outputChannel.show();
  }

  options(checkpoint: vscode.Uri): Promise<OptionsAnswer> {
    return this.client.sendRequest(Method.options, of(checkpoint));
  }

  async result(checkpoint: vscode.Uri): Promise<ResultAnswer['result']> {
    return (await this.client.sendRequest<ResultAnswer>(Method.result, of(checkpoint))).result;
  }

  async layers(checkpoint: vscode.Uri): Promise<string> {
    return (await this.client.sendRequest<LayersAnswer>(Method.layers, of(checkpoint))).text;
  }

  async startJob(request: StartParams): Promise<JobId> {
    return (await this.client.sendRequest<StartAnswer>(Method.start, request)).job;
  }

  prune(params: PruneParams): Promise<PruneAnswer> {
    return this.client.sendRequest(Method.prune, params);
  }

  async cancelJob(job: JobId): Promise<boolean> {
    const answer = await this.client.sendRequest<CancelAnswer>(Method.cancel, { job } satisfies JobParams);
    return answer.cancelled;
  }
}

function of(checkpoint: vscode.Uri): InspectParams {
  return { uri: checkpoint.toString() };
}
