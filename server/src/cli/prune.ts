import { readFile } from 'node:fs/promises';
import type { AnalysisResult } from '../../../protocol/analysis';
import { InputError, toFailure } from '../errors';
import { checkTarget } from '../files/write';
import { savedAnalysis } from '../prune/saved-analysis';
import { pruneJson } from '../report/json';
import { pruneText } from '../report/prune-text';
import { runJob } from './job';
import { fail, write } from './output';
import { asTyped, type TypedPath } from './paths';
import type { PruneCommand } from './prune-arguments';
import { outputWidth, ProgressDisplay } from './terminal';

/** Prunes in a compute process, which writes the files. */
export async function pruneCommand(command: PruneCommand): Promise<void> {
  const { checkpoint, output, mask, data, result: saved, json } = command;
  const paths = [checkpoint, output, mask, data, saved].filter((path) => path !== undefined);
  try {
    // Checked where the work is done too; here in the words of the command.
    for (const path of mask === undefined ? [output] : [output, mask])
      await checkTarget(path.typed, [checkpoint.absolute]);
    const analysis = saved === undefined ? undefined : await readAnalysis(saved);
    const request = { ...command.request, ...(analysis !== undefined && { analysis }) };
    const display = new ProgressDisplay(process.stderr);
    const outcome = await runJob({ kind: 'prune', request }, display);
    display.clear();
    if (outcome.kind === 'failed') {
      const { message, category } = outcome.error;
      return fail({ message: asTyped(message, paths), category });
    }
    if (outcome.kind !== 'pruned') throw new Error(`pruning answered as ${outcome.kind}`);
    const { result } = outcome;
    const shown = {
      ...result,
      output: output.typed,
      mask: mask?.typed ?? null,
      companions: result.companions.map((path) => asTyped(path, [output])),
    };
    await write(json ? pruneJson(result) : pruneText(shown, outputWidth()));
  } catch (error) {
    const { message, category } = toFailure(error);
    fail({ message: asTyped(message, paths), category });
  }
}

async function readAnalysis({ absolute }: TypedPath): Promise<AnalysisResult> {
  let text: string;
  try {
    text = await readFile(absolute, 'utf8');
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    throw new InputError(
      `analysis not readable: ${absolute} (${code ?? String(error)}); name what analyze --json wrote`,
    );
  }
  return savedAnalysis(text, absolute);
}
