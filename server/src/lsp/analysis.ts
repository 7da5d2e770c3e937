import { dirname, relative } from 'node:path';
import { fileURLToPath } from 'node:url';
import {
  Method,
  type CancelAnswer,
  type InspectAnswer,
  type InspectParams,
  type JobParams,
  type LayersAnswer,
  type OptionsAnswer,
  type ResultAnswer,
  type StartAnswer,
  type StartParams,
} from '../../../protocol/messages';
import { analysisFilesFor, readAnalysisFile, type OptionDefaults } from '../analysis-file';
import { toFailure } from '../errors';
import { buildLayersText, type ServerContext } from './context';
import { publishWarnings } from './diagnostics';
import { optionDefaults } from './settings';

/** The custom requests: what is in a checkpoint, how it is analysed, and analyses themselves. */
export function registerAnalysis(context: ServerContext): void {
  const { connection, checkpoints, jobs, results } = context;

  connection.onRequest(Method.inspect, async ({ uri }: InspectParams): Promise<InspectAnswer> => {
    try {
      return { summary: await checkpoints.summary(fileURLToPath(uri)) };
    } catch (error) {
      return { error: toFailure(error) };
    }
  });

  connection.onRequest(Method.layers, async ({ uri }: InspectParams): Promise<LayersAnswer> => {
    const checkpoint = fileURLToPath(uri);
    const text = await buildLayersText(context, checkpoint);
    await publishWarnings(context, checkpoint, text);
    return { text };
  });

  connection.onRequest(Method.result, async ({ uri }: InspectParams): Promise<ResultAnswer> => {
    const checkpoint = fileURLToPath(uri);
    const stored = await results.get(checkpoint);
    // A panel that comes back after a reload brings its warnings back too.
    if (stored) await publishWarnings(context, checkpoint, await buildLayersText(context, checkpoint));
    return { result: stored?.result ?? null };
  });

  connection.onRequest(Method.options, ({ uri }: InspectParams): Promise<OptionsAnswer> => findOptions(context, uri));

  connection.onRequest(Method.start, (request: StartParams): StartAnswer => ({
    job: jobs.start({ kind: 'analyze', request }),
  }));

  connection.onRequest(Method.cancel, async ({ job }: JobParams): Promise<CancelAnswer> => ({
    cancelled: await jobs.cancel(job),
  }));
}

/** The nearest analysis file with an entry for the checkpoint decides. */
async function findOptions(context: ServerContext, uri: string): Promise<OptionsAnswer> {
  const checkpoint = fileURLToPath(uri);
  const files = analysisFilesFor(checkpoint, rootOf(checkpoint, context.folders()));
  let defaults: OptionDefaults;
  try {
    defaults = await optionDefaults(context, uri);
  } catch (error) {
    return { error: toFailure(error), file: null };
  }
  for (const file of files) {
    try {
      const options = await readAnalysisFile(file, checkpoint, defaults);
      if (options) return { file, options };
    } catch (error) {
      return { error: toFailure(error), file };
    }
  }
  return { missing: true, file: files[0] ?? null };
}

/** The workspace folder around a path, the innermost of several; its own folder outside any. */
function rootOf(path: string, folders: readonly string[]): string {
  const around = folders.filter((folder) => {
    const inside = relative(folder, path);
    return !inside.startsWith('..') && inside !== path;
  });
  return around.sort((a, b) => b.length - a.length)[0] ?? dirname(path);
}
