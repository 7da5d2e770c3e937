import { basename } from 'node:path';
import { InputError } from '../../errors';
import { importGraph } from './import';
import { storedLayers, type StoredLayer } from './layers';
import type { OnnxFile } from './reader';

/**
 * Which weights a copy of a file can have other values of: those of its main
 * graph. Graphs in nodes may use a name that others use too, and the body of a
 * function is shared by all its calls.
 */

/**
 * The prunable layers of a network that is to be written. Where there are
 * branches, those alone that the network takes.
 *
 * @throws InputError where weights cannot be written, and where `storedLayers` does
 */
export function writableLayers(file: OnnxFile): StoredLayer[] {
  const layers = storedLayers(file);
  const taken = file.nodes.some(hasGraph) ? takenLayers(file) : null;
  const names = taken ?? new Set(layers.map(({ name }) => name));
  checkWritable(file, names);
  return layers.filter(({ name }) => names.has(name));
}

/** @throws InputError when other values of these weights could not be written */
export function checkWritable(file: OnnxFile, names: Iterable<string>): void {
  const constants = file.nodes.filter(({ op, ofFunction }) => op === 'Constant' && ofFunction !== true);
  const own = new Set(constants.flatMap(({ outputs }) => outputs));
  for (const name of names) {
    if (file.tensors.has(name) || own.has(name)) continue;
    throw new InputError(
      `weights out of reach: ${name} lies in a branch or a function (${basename(file.path)}), which can be analysed alone; export the network without them`,
    );
  }
}

const hasGraph = ({ attributes }: OnnxFile['nodes'][number]): boolean =>
  [...attributes.values()].some(({ kind }) => kind === 'graph');

/** Null for a network that cannot be run. */
function takenLayers(file: OnnxFile): ReadonlySet<string> | null {
  try {
    return new Set(importGraph(file, { batch: 1 }).layers.map(({ name }) => name));
  } catch (error) {
    if (!(error instanceof InputError)) throw error;
    return null;
  }
}
