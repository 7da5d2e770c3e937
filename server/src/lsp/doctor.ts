import { join } from 'node:path';
import { Method } from '../../../protocol/messages';
import type { DoctorAnswer, DoctorEvent, DoctorParams } from '../../../protocol/doctor';
import { doctorText } from '../doctor/text';
import { ComputeProcess } from '../jobs/compute-process';
import { toFailure } from '../errors';
import type { ServerContext } from './context';
import { optionDefaults } from './settings';

/** Looks at the machine in a compute process, which goes when nobody waits for its answer any more. */
export function registerDoctor(context: ServerContext): void {
  context.connection.onRequest(
    Method.doctor,
    async ({ editor, trusted }: DoctorParams, token): Promise<DoctorAnswer> => {
      let settings: Record<string, string | number | boolean>;
      const modules = [...context.folders()];
      try {
        const {
          data,
          minutes,
          tolerance,
          epsilon,
          provider,
          threads,
          memory,
          modules: folders,
        } = await optionDefaults(context, '');
        modules.unshift(...(folders ?? []));
        settings = {
          'budget.minutes': minutes,
          samples: data.samples,
          'limit.tolerance': tolerance,
          'limit.epsilon': epsilon.kind === 'batch-std' ? 'batch-std' : `${epsilon.kind} ${epsilon.value}`,
          'engine.provider': provider,
          'engine.modules': folders?.join(', ') ?? '',
          'engine.threads': threads,
          memory,
        };
      } catch (error) {
        // A setting that is wrong is what a doctor is for.
        settings = { error: toFailure(error).message };
      }
      const { storage } = context;
      const request = { editor, settings, modules, trusted, storage: storage === undefined ? [] : [storage] };
      const outcome = await new Promise<DoctorEvent>((resolve) => {
        const examination = new ComputeProcess<DoctorEvent>(
          join(__dirname, 'compute.js'),
          { kind: 'doctor', request },
          {
            event: resolve,
            log: (line) => context.connection.console.info(line),
            gone: (failure) => {
              const message = failure ?? 'examination ended without an answer; try again';
              resolve({ kind: 'failed', error: { message, category: 'analysis' } });
            },
          },
        );
        token.onCancellationRequested(() => examination.kill());
      });
      if (outcome.kind === 'failed') return { error: outcome.error };
      return { report: outcome.report, text: doctorText(outcome.report) };
    },
  );
}
