import { t } from '@vscode/l10n';
import {
  Method,
  type EditAnswer,
  type RenameParams,
  type ResultAnswer,
  type ResumeAnswer,
  type RunParams,
  type RunsAnswer,
} from '../../../protocol/messages';
import { publicRun } from '../jobs/run-store';
import type { ServerContext } from './context';

/** Longest name of a run that is kept. */
const LONGEST_NAME = 200;

/** Running and past analyses: what the runs view asks. */
export function registerRuns({ connection, jobs, runs }: ServerContext): void {
  const gone = (): EditAnswer => ({
    error: { message: t('run not found: it was deleted, perhaps in another window'), category: 'input' },
  });

  connection.onRequest(Method.resume, async (): Promise<ResumeAnswer> => {
    await jobs.resume();
    return { jobs: jobs.all() };
  });

  connection.onRequest(Method.runs, async (): Promise<RunsAnswer> => ({ runs: (await runs.all()).map(publicRun) }));

  connection.onRequest(Method.runResult, async ({ run }: RunParams): Promise<ResultAnswer> => ({
    result: (await runs.get(run)) ? await runs.result(run) : null,
  }));

  connection.onRequest(Method.renameRun, async ({ run, name }: RenameParams): Promise<EditAnswer> => {
    const known = await runs.get(run);
    if (!known) return gone();
    runs.put({ ...known, name: name.trim().slice(0, LONGEST_NAME) || null });
    void connection.sendNotification(Method.runsChanged);
    return { ok: true };
  });

  connection.onRequest(Method.deleteRun, async ({ run }: RunParams): Promise<EditAnswer> => {
    const known = await runs.get(run);
    if (!known) return gone();
    if (jobs.isRunning(run)) {
      return { error: { message: t('run still running: {0}; cancel it first', known.checkpoint), category: 'input' } };
    }
    await runs.remove(run);
    void connection.sendNotification(Method.runsChanged);
    return { ok: true };
  });
}
