import { join } from 'node:path';
import { tensorFlowFolder } from '../engine/tfjs/folder';
import { installTensorFlow } from '../engine/tfjs/install';
import { AnalysisError, InputError } from '../errors';
import { probeProviders } from '../jobs/provider-probe';
import { parse, pathOption } from './option-values';
import { write } from './output';

export interface InstallCommand {
  readonly kind: 'install-tensorflow';
  readonly gpu: boolean;
  readonly into: string | undefined;
  readonly python: string | undefined;
}

export const INSTALL_USAGE = `Usage: pruning-limit install-tensorflow [--gpu] [--into DIR] [--python COMMAND]

Installs TensorFlow.js for the provider tfjs, with npm, and tries it. It downloads
about 200 MB from the npm registry and from the host of TensorFlow's library, and
runs the package's install script. Nothing else of this program needs it.

  --gpu             for NVIDIA, CUDA 11.2 and cuDNN 8
  --into DIR        where it goes (default: a folder of the user's own, in which
                    it is found without --modules)
  --python COMMAND  do not download the library but build against the TensorFlow
                    of this Python (Linux; needs a C++ compiler)
`;

/** @throws InputError for an unknown option or an argument */
export function parseInstall(argv: readonly string[]): InstallCommand | null {
  const { values, positionals } = parse(argv, 'install-tensorflow', {
    gpu: { type: 'boolean' },
    into: { type: 'string' },
    python: { type: 'string' },
  });
  if (values['help']) return null;
  if (positionals.length > 0) throw new InputError(`install-tensorflow takes no file, not ${positionals[0]}`);
  const python = values['python'] as string | undefined;
  if (python === '') throw new InputError('--python takes a command, not an empty text');
  const into = pathOption(values['into'] as string | undefined, '--into')?.absolute;
  return { kind: 'install-tensorflow', gpu: values['gpu'] === true, into, python };
}

export async function installCommand({ gpu, into, python }: InstallCommand): Promise<void> {
  const folder = into ?? tensorFlowFolder();
  process.stderr.write(`Installing TensorFlow.js into ${folder}; this takes minutes\n`);
  const name = await installTensorFlow({
    folder,
    gpu,
    ...(python !== undefined && { python }),
    onOutput: (text) => process.stderr.write(text),
  });
  const entry = join(__dirname, 'engine-process.js');
  const [probe] = await probeProviders(entry, { providers: ['tfjs'], modules: [folder] });
  if (!probe!.available) throw new AnalysisError(`${name} is installed, but it does not work: ${probe!.problem}`);
  const versions = probe!.versions.map((part) => `, ${part.name} ${part.version}`).join('');
  const hint = into === undefined ? '' : ` --modules ${folder}`;
  await write(`${probe!.engine}${versions} works: use it with --provider tfjs${hint}\n`);
}
