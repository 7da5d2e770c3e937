import { InputError } from '../errors';
import type { Shape } from '../graph/ir';
import { formatShape } from '../graph/shapes';
import type { Architecture, Family } from './architecture';
import { mlp } from './families/mlp';
import { modernNetworks } from './families/modern';
import { resnets } from './families/resnet';
import { smallNetworks } from './families/small';
import { vggs } from './families/vgg';
import { NetworkWriter, type Value } from './network';

const architectures: readonly Architecture[] = [...smallNetworks, ...resnets, ...vggs, ...modernNetworks];
const families: readonly { readonly name: string; readonly of: Family }[] = [{ name: 'mlp', of: mlp }];

/** Every name that `--architecture` takes. */
export const architectureNames: readonly string[] = [...families, ...architectures].map(({ name }) => name);

/** @throws RangeError for a name that is none */
export function architectureNamed(name: string): Architecture {
  const found = architectures.find((candidate) => candidate.name === name);
  if (found === undefined) throw new RangeError(`no architecture of the name ${name}`);
  return found;
}

/** An architecture laid over the tensors of a checkpoint. */
export interface Match {
  readonly architecture: Architecture;
  readonly writer: NetworkWriter;
  /** Shape of one sample. */
  readonly input: Shape;
  readonly output: Value;
  /** What does not fit; empty for a match. */
  readonly problems: readonly string[];
}

/** Name of the network's input. */
export const INPUT = 'input';

/** Counters and the like, which no forward pass in evaluation mode needs. */
const isIdle = (name: string): boolean => /(^|\.)num_batches_tracked$/.test(name);

/**
 * Lays an architecture over tensors.
 *
 * @param sample shape of one sample of the data; what the architecture was made for when absent or of another kind
 * @param sketch leaves the nodes out
 */
export function layOver(
  architecture: Architecture,
  shapes: ReadonlyMap<string, Shape>,
  sample?: Shape,
  sketch = false,
): Match {
  const writer = new NetworkWriter(shapes, sketch);
  const input = inputOf(architecture, shapes, sample);
  const output = architecture.network(writer, { name: INPUT, shape: input }, '');
  const idle = [...shapes.keys()].filter((name) => !writer.used.has(name) && !isIdle(name));
  return {
    architecture,
    writer,
    input,
    output,
    problems: [...writer.problems, ...idle.map((name) => `${name} is not part of it`)],
  };
}

function inputOf({ first, size }: Architecture, shapes: ReadonlyMap<string, Shape>, sample?: Shape): Shape {
  const channels = shapes.get(first)?.[1] ?? 1;
  if (size === null) return [channels];
  const fits = sample?.length === 3 && sample[0] === channels;
  return fits ? sample : [channels, size, size];
}

/** The architectures that fit, and those that come closest. */
export interface Matching {
  readonly fitting: readonly Match[];
  /** The one with the fewest differences, where none fits; null when nothing is alike. */
  readonly closest: Match | null;
}

export function matchArchitectures(shapes: ReadonlyMap<string, Shape>, sample?: Shape): Matching {
  const found = families.flatMap(({ of }) => of(shapes) ?? []);
  const matches = [...found, ...architectures].map((architecture) => layOver(architecture, shapes, sample, true));
  const fitting = matches.filter(({ problems }) => problems.length === 0);
  if (fitting.length > 0) {
    return { fitting: fitting.map(({ architecture }) => layOver(architecture, shapes, sample)), closest: null };
  }
  const alike = matches.filter(({ writer }) => writer.used.size > 0);
  const closest = alike.sort((a, b) => a.problems.length - b.problems.length)[0] ?? null;
  return { fitting, closest };
}

/** @throws InputError for a name that is none, and a network that does not fit the tensors */
export function matchNamed(name: string, shapes: ReadonlyMap<string, Shape>, place: string, sample?: Shape): Match {
  const family = families.find((candidate) => candidate.name === name);
  const architecture = family ? family.of(shapes) : architectures.find((candidate) => candidate.name === name);
  if (architecture === undefined) {
    throw new InputError(`unknown architecture: ${name}; known are ${architectureNames.join(', ')}`);
  }
  if (architecture === null) {
    throw new InputError(`architecture does not fit: ${name} (${place}); ${EXPORT}`);
  }
  const match = layOver(architecture, shapes, sample);
  if (match.problems.length > 0) {
    throw new InputError(`architecture does not fit: ${name}: ${listProblems(match.problems)} (${place}); ${EXPORT}`);
  }
  return match;
}

/** The one line that gives any network its graph. */
export const EXPORT =
  'export the network with torch.onnx.export(model, example, "model.onnx") and open that, or give it with --graph';

/** Why an architecture was taken. */
export function reasonOf({ architecture, writer, input }: Match): string {
  const count = writer.used.size;
  return `${architecture.title}: all ${count} tensors fit by name and shape, input ${formatShape(input)}`;
}

/** The first few of what does not fit. */
export function listProblems(problems: readonly string[]): string {
  const shown = problems.slice(0, 3).join(', ');
  return problems.length > 3 ? `${shown} and ${problems.length - 3} more differences` : shown;
}
