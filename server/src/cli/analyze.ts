import { join } from 'node:path';
import type { AnalysisRequest, AnalysisResult, FailureMessage } from '../../../protocol/analysis';
import { checkTarget, writeAtomically } from '../files/write';
import { ComputeProcess } from '../jobs/compute-process';
import { htmlReport, openReportAssets } from '../report/html';
import { resultJson } from '../report/json';
import { resultText } from '../report/text';
import type { Command } from './arguments';
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
  const { request, json, report, checkpoint, data } = command;
  if (report !== undefined) await checkTarget(report.typed, [checkpoint.absolute, data.absolute]);
  const assets = report === undefined ? undefined : await openReportAssets(join(__dirname, 'media'));
  const display = new ProgressDisplay(process.stderr);
  const outcome = await runAnalysis(request, display);
  display.clear();
  if ('failure' in outcome) {
    const { message, category } = outcome.failure;
    return fail({ message: asTyped(message, [checkpoint, data]), category });
  }
  const { result } = outcome;
  await write(json ? resultJson(result) : resultText({ ...result, checkpoint: checkpoint.typed }, outputWidth()));
  if (report === undefined || assets === undefined) return;
  await writeAtomically(report.typed, htmlReport(result, assets));
  if (!json) await write(`\nReport: ${report.typed}\n`);
}

type Outcome = { readonly result: AnalysisResult } | { readonly failure: FailureMessage };

/** What a process that ended by a signal says of it, as shells have it. */
const SIGNAL_STATUS = { SIGINT: 130, SIGTERM: 143, SIGHUP: 129 } as const;
/** How long an interrupt waits for the compute process to be gone, in milliseconds. */
const GRACE = 500;

function runAnalysis(request: AnalysisRequest, display: ProgressDisplay): Promise<Outcome> {
  return new Promise((resolve) => {
    let interrupted: number | undefined;
    const compute = new ComputeProcess(join(__dirname, 'compute.js'), request, {
      event: (event) => {
        if (interrupted !== undefined) return;
        if (event.kind === 'done') resolve({ result: event.result });
        else if (event.kind === 'failed') resolve({ failure: event.error });
        else display.show(event);
      },
      log: () => undefined,
      gone: (failure) => {
        if (interrupted !== undefined) process.exit(interrupted);
        if (failure !== null) resolve({ failure: { message: failure, category: 'analysis' } });
      },
    });
    for (const [signal, status] of Object.entries(SIGNAL_STATUS)) {
      process.on(signal, () => {
        if (interrupted !== undefined) process.exit(status);
        interrupted = status;
        display.clear();
        compute.kill();
        // Killed for certain, but freeing gigabytes takes the system a while.
        setTimeout(() => process.exit(status), GRACE);
      });
    }
  });
}
