import { t } from '@vscode/l10n';
import { dirname, join, relative, sep } from 'node:path';
import { fileURLToPath } from 'node:url';
import { CompletionItemKind, type CompletionItem } from 'vscode-languageserver/node';
import type { TextDocument } from 'vscode-languageserver-textdocument';
import { CHECKPOINT_NAME } from '../../../protocol/checkpoint-names';
import { NORMALIZATION_PRESETS } from '../../../protocol/presets';
import { architectureNames } from '../architectures/match';
import { recognizeDataset } from '../dataset/open';
import { isAnalysisFile } from './analysis-file';
import type { ServerContext } from './context';
import { walkFolders } from './files';
import { jsonPlaces, placeAt } from './json-places';

/** Something that may stand at a place, as a JSON value. */
interface Proposal {
  readonly value: unknown;
  readonly label?: string;
  readonly detail?: string;
  readonly kind: CompletionItemKind;
}

/** Files whose graph others may borrow. */
const GRAPH = /\.(onnx|keras)$|^model\.json$/i;
/** Folders whose data are looked at, and proposals made, at most. */
const MOST_FOLDERS = 300;
const MOST = 200;

/** Values for an analysis file that its schema cannot know: what is on the disk, known networks, usual normalisations. */
export function registerCompletion({ connection, documents }: ServerContext): void {
  connection.onCompletion(async ({ textDocument, position }): Promise<CompletionItem[]> => {
    const document = documents.get(textDocument.uri);
    if (!document || !isAnalysisFile(document)) return [];
    const text = document.getText();
    const offset = document.offsetAt(position);
    const places = jsonPlaces(text);
    // A number stands in its list, which is what is replaced.
    const place = placeAt(places, offset)?.replace(/\.(mean|deviation)\[\d+\]$/, '.$1');
    const range = place === undefined ? undefined : places.get(place);
    if (place === undefined || range === undefined) return [];
    const typed = text.slice(range.start, offset);
    return (await proposals(place, document)).slice(0, MOST).map(({ value, label, detail, kind }, i) => ({
      label: label ?? String(value),
      kind,
      ...(detail !== undefined && { detail }),
      // What was typed so far is replaced, whatever it is.
      filterText: typed + (label ?? String(value)),
      sortText: String(i).padStart(4, '0'),
      textEdit: {
        range: { start: document.positionAt(range.start), end: document.positionAt(range.end) },
        newText: JSON.stringify(value).replaceAll(',', ', '),
      },
    }));
  });
}

async function proposals(place: string, document: TextDocument): Promise<Proposal[]> {
  const folder = dirname(fileURLToPath(document.uri));
  const name = /^analyses\[\d+\]\.(.+)$/.exec(place)?.[1];
  switch (name) {
    case 'checkpoint':
      return checkpointProposals(folder);
    case 'graph':
      return (await filesBelow(folder, GRAPH)).map((value) => ({ value, kind: CompletionItemKind.File }));
    case 'architecture':
      return architectureNames.map((value) => ({ value, kind: CompletionItemKind.EnumMember }));
    case 'data.path':
    case 'measure.testData':
      return dataProposals(folder);
    case 'data.normalize.mean':
    case 'data.normalize.deviation': {
      const which = name.endsWith('mean') ? 'mean' : 'deviation';
      return NORMALIZATION_PRESETS.map(({ label, ...preset }) => ({
        value: preset[which],
        label,
        detail: preset[which].join(', '),
        kind: CompletionItemKind.Value,
      }));
    }
    default:
      return [];
  }
}

/** Every checkpoint, and a pattern for each folder that has several of a kind. */
async function checkpointProposals(folder: string): Promise<Proposal[]> {
  const files = await filesBelow(folder, CHECKPOINT_NAME);
  const kinds = new Map<string, number>();
  for (const file of files) {
    const pattern = file.replace(/[^/]*(\.[^./]+)$/, '*$1');
    kinds.set(pattern, (kinds.get(pattern) ?? 0) + 1);
  }
  const patterns = [...kinds].filter(([, count]) => count > 1);
  return [
    ...files.map((value) => ({ value, kind: CompletionItemKind.File })),
    ...patterns.map(([value, count]) => ({
      value,
      detail: t('{0} checkpoints', count),
      kind: CompletionItemKind.Folder,
    })),
  ];
}

/** Files and folders that a reader of data takes, each with its format. */
async function dataProposals(folder: string): Promise<Proposal[]> {
  const found: Proposal[] = [];
  let looked = 0;
  const look = async (path: string, kind: CompletionItemKind): Promise<boolean> => {
    const format = await recognizeDataset(path).catch(() => null);
    if (format !== null) found.push({ value: portable(folder, path), detail: format, kind });
    return format !== null;
  };
  for await (const { path, files } of walkFolders([folder])) {
    if (++looked > MOST_FOLDERS || found.length >= MOST) break;
    if (path !== folder && (await look(path, CompletionItemKind.Folder))) continue;
    for (const file of files.filter((name) => /\.(npy|npz|csv|tsv)$/i.test(name))) {
      await look(join(path, file), CompletionItemKind.File);
    }
  }
  return found;
}

async function filesBelow(folder: string, wanted: RegExp): Promise<string[]> {
  const found: string[] = [];
  for await (const { path, files } of walkFolders([folder])) {
    for (const name of files) if (wanted.test(name)) found.push(portable(folder, join(path, name)));
    if (found.length >= MOST) break;
  }
  return found;
}

function portable(folder: string, path: string): string {
  return relative(folder, path).split(sep).join('/') || '.';
}
