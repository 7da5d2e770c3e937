import { fileURLToPath } from 'node:url';
import { Method, type PruneAnswer, type PruneParams } from '../../../protocol/messages';
import { InputError, toFailure } from '../errors';
import { limitSparsity } from '../prune/saved-analysis';
import type { ServerContext } from './context';
import { failureInEditorTerms } from './editor-terms';

/** Prunes a checkpoint in a compute process, to the limit of its latest result or to a given sparsity. */
export function registerPrune({ connection, jobs, results }: ServerContext): void {
  connection.onRequest(Method.prune, async (params: PruneParams): Promise<PruneAnswer> => {
    try {
      const checkpoint = fileURLToPath(params.uri);
      const stored = await results.get(checkpoint);
      const atLimit = params.sparsity === null;
      if (atLimit) {
        if (stored === null) throw new InputError(`no limit of ${checkpoint}: compute it first`);
        if (stored.outdated)
          throw new InputError(`limit out of date: ${checkpoint} has changed since; compute it again`);
        // Refused here already when it is not resolved.
        limitSparsity(stored.result);
      }
      const { architecture, graph } = stored?.result.options ?? {};
      const job = jobs.start({
        kind: 'prune',
        request: {
          checkpoint,
          output: fileURLToPath(params.output),
          target: atLimit ? { kind: 'limit' } : { kind: 'sparsity', sparsity: params.sparsity },
          method: 'global',
          ...(architecture !== undefined && { architecture }),
          ...(graph !== undefined && { graph }),
          allowDisconnected: params.allowDisconnected,
          sparse: false,
          // Whoever chose the place was asked about the file that is there, and about no other.
          overwrite: 'own',
          ...(stored !== null && !stored.outdated && { analysis: stored.result }),
          // The data of the analysis tell what the pruning costs.
          ...(stored !== null && { options: stored.result.options }),
        },
      });
      return { job };
    } catch (error) {
      return { error: failureInEditorTerms(toFailure(error)) };
    }
  });
}
