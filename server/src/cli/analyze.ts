import { join } from 'node:path';
import { checkTarget, writeAtomically } from '../files/write';
import { htmlReport, openReportAssets } from '../report/html';
import { resultJson } from '../report/json';
import { resultText } from '../report/text';
import type { Command } from './arguments';
import { runJob } from './job';
import { fail, write } from './output';
import { asTyped } from './paths';
import { outputWidth, ProgressDisplay } from './terminal';

/**
 * Runs an analysis in a compute process. Where the report goes is checked
 * before that: hours of work must not end at a folder that does not exist.
 *
 * @throws InputError
 */
export async function analyzeCommand(command: Extract<Command, { kind: 'analyze' }>): Promise<void> {
  const { request, json, report, checkpoint, data, testData } = command;
  const inputs = testData === undefined ? [checkpoint, data] : [checkpoint, data, testData];
  if (report !== undefined) {
    await checkTarget(
      report.typed,
      inputs.map(({ absolute }) => absolute),
    );
  }
  const assets = report === undefined ? undefined : await openReportAssets(join(__dirname, 'media'));
  const display = new ProgressDisplay(process.stderr);
  const outcome = await runJob({ kind: 'analyze', request }, display);
  display.clear();
  if (outcome.kind === 'failed') {
    const { message, category } = outcome.error;
    return fail({ message: asTyped(message, inputs), category });
  }
  if (outcome.kind !== 'done') throw new Error(`analysis answered as ${outcome.kind}`);
  const { result } = outcome;
  // First, because a reader of the output may go away and end the program.
  if (report !== undefined && assets !== undefined) await writeAtomically(report.typed, htmlReport(result, assets));
  await write(json ? resultJson(result) : resultText({ ...result, checkpoint: checkpoint.typed }, outputWidth()));
  if (report !== undefined && !json) await write(`\nReport: ${report.typed}\n`);
}
