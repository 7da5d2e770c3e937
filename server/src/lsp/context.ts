import { fileURLToPath, pathToFileURL } from 'node:url';
import type { Connection, TextDocuments } from 'vscode-languageserver/node';
import type { TextDocument } from 'vscode-languageserver-textdocument';
import type { CheckpointSummary } from '../../../protocol/analysis';
import { checkpointUri, layersUri } from '../../../protocol/layers-uri';
import { toFailure } from '../errors';
import type { ListingProcess } from '../jobs/listing-process';
import type { RunStore } from '../jobs/run-store';
import { failureText, layersText } from '../report/layers-text';
import type { CheckpointReader } from './checkpoints';
import { inEditorTerms } from './editor-terms';
import type { DatasetReader } from './datasets';
import type { JobRegistry } from './jobs';
import type { ResultStore, StoredResult } from './results';

/** What every editor feature works with. */
export interface ServerContext {
  readonly connection: Connection;
  readonly documents: TextDocuments<TextDocument>;
  readonly checkpoints: CheckpointReader;
  readonly listing: ListingProcess;
  readonly datasets: DatasetReader;
  readonly results: ResultStore;
  readonly runs: RunStore;
  readonly jobs: JobRegistry;
  /** Where runs are kept, if they are. */
  readonly storage: string | undefined;
  /** Paths of the workspace's folders. */
  readonly folders: () => readonly string[];
  /** Whether the client answers `workspace/configuration`. */
  readonly hasConfiguration: () => boolean;
}

/** An open layer summary with what it was made from. */
export interface LayersDocument {
  readonly checkpoint: string;
  readonly text: string;
  readonly summary: CheckpointSummary;
  readonly stored: StoredResult | null;
}

/** The layer summary open under a URI; null when it is none or its checkpoint cannot be read. */
export async function layersDocument(context: ServerContext, uri: string): Promise<LayersDocument | null> {
  const file = checkpointUri(uri);
  const text = context.documents.get(uri)?.getText();
  if (file === null || text === undefined) return null;
  const checkpoint = fileURLToPath(file);
  try {
    const summary = await context.checkpoints.summary(checkpoint);
    return { checkpoint, text, summary, stored: await context.results.get(checkpoint) };
  } catch {
    // The text itself says what is wrong with the checkpoint.
    return null;
  }
}

/** Text of the layer summary of a checkpoint, of its failure when it cannot be read. */
export async function buildLayersText(context: ServerContext, checkpoint: string): Promise<string> {
  try {
    const summary = await context.checkpoints.summary(checkpoint);
    const { architecture } = summary;
    const stored = await context.results.get(checkpoint);
    return layersText({
      summary: architecture
        ? { ...summary, architecture: { ...architecture, reason: inEditorTerms(architecture.reason) } }
        : summary,
      result: stored?.result ?? null,
      computed: stored?.computed ?? null,
      outdated: stored?.outdated ?? false,
    });
  } catch (error) {
    return failureText(checkpoint, toFailure(error).message);
  }
}

export function layersUriOf(checkpoint: string): string {
  return layersUri(pathToFileURL(checkpoint).href);
}
