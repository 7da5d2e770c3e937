/**
 * The language server.
 *
 * Architecture invariant: this process answers at once. It holds results; it
 * runs no session, imports no engine, leaves what is in a checkpoint to a
 * listing process and every analysis to a compute process, and may kill both.
 */
import { config } from '@vscode/l10n';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import {
  CodeActionKind,
  createConnection,
  MessageType,
  ProposedFeatures,
  ShowMessageNotification,
  TextDocuments,
  TextDocumentSyncKind,
  type InitializeParams,
  type InitializeResult,
} from 'vscode-languageserver/node';
import { TextDocument } from 'vscode-languageserver-textdocument';
import { Method, type JobEvent, type ServerOptions } from '../../protocol/messages';
import { ListingProcess } from './jobs/listing-process';
import { RunStore } from './jobs/run-store';
import { registerAnalysis } from './lsp/analysis';
import { registerCompletion } from './lsp/analysis-completion';
import { checkAnalysisFiles, registerAnalysisFile } from './lsp/analysis-file';
import { CheckpointReader } from './lsp/checkpoints';
import { registerCodeActions } from './lsp/code-actions';
import { registerCodeLenses } from './lsp/code-lens';
import { registerDoctor } from './lsp/doctor';
import { buildLayersText, type ServerContext } from './lsp/context';
import { DatasetReader } from './lsp/datasets';
import { publishWarnings } from './lsp/diagnostics';
import { registerHealth } from './lsp/health';
import { registerHover } from './lsp/hover';
import { registerInlayHints } from './lsp/inlay-hints';
import { JobRegistry } from './lsp/jobs';
import { registerOutline } from './lsp/outline';
import { registerPrune } from './lsp/prune';
import { registerDefinitions } from './lsp/python';
import { ResultStore } from './lsp/results';
import { registerRuns } from './lsp/runs';

const connection = createConnection(ProposedFeatures.all);
const documents = new TextDocuments(TextDocument);
let ready: ServerContext | undefined;

connection.onInitialize((params: InitializeParams): InitializeResult => {
  const { storage, l10n } = (params.initializationOptions ?? {}) as ServerOptions;
  if (l10n !== undefined) speak(l10n);
  let folders = (params.workspaceFolders ?? []).map(({ uri }) => uri);
  const runs = new RunStore(storage, warn);
  const jobs = new JobRegistry(join(__dirname, 'compute.js'), runs, relay, (line) => connection.console.info(line));
  const listing = new ListingProcess(join(__dirname, 'listing.js'));
  const context: ServerContext = {
    connection,
    documents,
    checkpoints: new CheckpointReader(listing),
    listing,
    datasets: new DatasetReader(listing),
    results: new ResultStore(runs),
    runs,
    jobs,
    storage,
    folders: () => folders.filter((uri) => uri.startsWith('file:')).map((uri) => fileURLToPath(uri)),
    hasConfiguration: () => params.capabilities.workspace?.configuration === true,
  };
  connection.onInitialized(() => {
    // Whoever starts the server is about to open a checkpoint.
    listing.warm();
    if (!params.capabilities.workspace?.workspaceFolders) return;
    connection.workspace.onDidChangeWorkspaceFolders(({ added, removed }) => {
      const gone = new Set(removed.map(({ uri }) => uri));
      folders = [...folders.filter((uri) => !gone.has(uri)), ...added.map(({ uri }) => uri)];
    });
  });
  for (const register of [
    registerAnalysis,
    registerAnalysisFile,
    registerCompletion,
    registerPrune,
    registerHealth,
    registerRuns,
    registerHover,
    registerInlayHints,
    registerCodeLenses,
    registerCodeActions,
    registerDefinitions,
    registerOutline,
    registerDoctor,
  ]) {
    register(context);
  }
  ready = context;
  return {
    capabilities: {
      textDocumentSync: TextDocumentSyncKind.Incremental,
      hoverProvider: true,
      completionProvider: { triggerCharacters: ['"', '/', '['] },
      definitionProvider: true,
      inlayHintProvider: true,
      codeLensProvider: {},
      codeActionProvider: { codeActionKinds: [CodeActionKind.QuickFix] },
      documentSymbolProvider: true,
      foldingRangeProvider: true,
      workspace: { workspaceFolders: { supported: true, changeNotifications: true } },
    },
    serverInfo: { name: 'pruning-limit' },
  };
});

/** Shown to the user, who has to do something about it. */
function warn(message: string): void {
  connection.console.warn(message);
  void connection.sendNotification(ShowMessageNotification.type, { type: MessageType.Warning, message });
}

/** Answers in the user's language from now on, or in English where its words cannot be read. */
function speak(bundle: string): void {
  try {
    config({ fsPath: bundle });
  } catch (error) {
    connection.console.warn(`${bundle} could not be read: ${(error as Error).message}`);
  }
}

/** An event of a job on its way to the client; a result is stored before, so that whoever reacts finds it. */
function relay(event: JobEvent): void {
  const { kind } = event.event;
  if (kind === 'done' && ready) void announce(ready, event.checkpoint);
  void connection.sendNotification(Method.event, event);
  if (event.task !== 'analyze' || (kind !== 'done' && kind !== 'failed' && kind !== 'cancelled')) return;
  void connection.sendNotification(Method.runsChanged);
  if (ready) void checkAnalysisFiles(ready);
  refresh();
}

async function announce(context: ServerContext, checkpoint: string): Promise<void> {
  await publishWarnings(context, checkpoint, await buildLayersText(context, checkpoint));
}

/** Has the client ask again for what depends on jobs and results. */
function refresh(): void {
  // A client without these requests refuses them, and has nothing to refresh.
  connection.languages.inlayHint.refresh().catch(() => undefined);
  connection.sendRequest('workspace/codeLens/refresh').catch(() => undefined);
}

// The compute processes go with the server.
const dispose = (): void => {
  ready?.jobs.dispose();
  ready?.runs.dispose();
  ready?.listing.dispose();
};
process.on('exit', dispose);
connection.onShutdown(dispose);

documents.listen(connection);
connection.listen();
