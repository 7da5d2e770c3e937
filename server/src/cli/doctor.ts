import { join } from 'node:path';
import type { DoctorEvent, DoctorReport } from '../../../protocol/doctor';
import { doctorText } from '../doctor/text';
import { InputError } from '../errors';
import { ComputeProcess } from '../jobs/compute-process';
import { parse, pathOption } from './option-values';
import { fail, write } from './output';

export interface DoctorCommand {
  readonly kind: 'doctor';
  readonly json: boolean;
  readonly modules: readonly string[];
}

export const DOCTOR_USAGE = `Usage: pruning-limit doctor [--modules DIR] [--json]

What this machine has to run a network with: engines and GPUs, each tried on a
small network, and why others are missing; memory, versions. For a bug report.

  --modules DIR  where TensorFlow.js is installed
  --json         one JSON object on standard output

Exit status: 0 where the CPU's engine works, 1 where it does not.
`;

/** @throws InputError for an unknown option or an argument */
export function parseDoctor(argv: readonly string[]): DoctorCommand | null {
  const { values, positionals } = parse(argv, 'doctor', { json: { type: 'boolean' }, modules: { type: 'string' } });
  if (values['help']) return null;
  if (positionals.length > 0) throw new InputError(`doctor takes no file, not ${positionals[0]}`);
  const modules = pathOption(values['modules'] as string | undefined, '--modules');
  return { kind: 'doctor', json: values['json'] === true, modules: modules === undefined ? [] : [modules.absolute] };
}

/** Looks at the machine in a compute process: what loads an engine may crash. */
export async function doctorCommand({ json, modules }: DoctorCommand): Promise<void> {
  const request = { editor: null, settings: {}, modules: [...modules, process.cwd()], trusted: true, storage: [] };
  const outcome = await new Promise<DoctorEvent>((resolve) => {
    new ComputeProcess<DoctorEvent>(
      join(__dirname, 'compute.js'),
      { kind: 'doctor', request },
      {
        event: resolve,
        log: () => undefined,
        gone: (failure) =>
          failure !== null && resolve({ kind: 'failed', error: { message: failure, category: 'analysis' } }),
      },
    );
  });
  if (outcome.kind === 'failed') return fail(outcome.error);
  const { report } = outcome;
  await write(json ? `${JSON.stringify(report)}\n` : doctorText(report));
  if (!cpuWorks(report)) process.exitCode = 1;
}

function cpuWorks({ providers }: DoctorReport): boolean {
  return providers.some(({ provider, available }) => provider === 'cpu' && available);
}
