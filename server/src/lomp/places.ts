import { readdir, rm, stat } from 'node:fs/promises';
import { InputError } from '../errors';
import { checkTarget } from '../files/write';

export interface Places {
  readonly output: string;
  /** What is read and must stay. */
  readonly inputs: readonly string[];
  /** File or folder beside the output that an interrupted job leaves. */
  readonly state: string;
  /** Whether an output without a state may be the end of this very job, which the job finds out itself. */
  readonly endKnown: boolean;
  readonly resume: boolean;
  readonly overwrite: boolean;
}

/** @throws InputError when something would be overwritten that may not be, or the output cannot be written */
export async function checkPlaces({ output, inputs, state, endKnown, resume, overwrite }: Places): Promise<void> {
  await checkTarget(output, inputs);
  await expectOurs(state);
  if (resume) {
    if (endKnown || overwrite || (await exists(state)) || !(await exists(output))) return;
    throw new InputError(`nothing to go on with: ${output} is there; choose another name, or give --force`);
  }
  if (overwrite) return rm(state, { force: true, recursive: true });
  if (await exists(state)) {
    throw new InputError(`training begun before: ${state}; --resume goes on with it, --force begins anew`);
  }
  if (await exists(output)) throw new InputError(`file exists: ${output}; choose another name, or give --force`);
}

/** What a search keeps in its folder: trainings, their states, the one that was chosen, and what is half-written. */
const TRIAL = /^\.?(seed-\d+-kept-\d+|l1-[\d.e+-]+|chosen)\.onnx(\.resume)?(\.[\da-f-]{36})?$/;

/** @throws InputError for a folder with anything else in it, which would be lost at the end at the latest */
async function expectOurs(state: string): Promise<void> {
  if ((await stat(state).catch(() => undefined))?.isDirectory() !== true) return;
  for (const entry of await readdir(state, { withFileTypes: true })) {
    if (entry.isFile() && TRIAL.test(entry.name)) continue;
    throw new InputError(
      `folder of something else: ${state} holds ${entry.name}; move it away, or choose another name for the output`,
    );
  }
}

async function exists(path: string): Promise<boolean> {
  return (await stat(path).catch(() => undefined)) !== undefined;
}
