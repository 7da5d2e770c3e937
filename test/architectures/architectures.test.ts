import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { before, test } from 'node:test';
import { crc32, gunzipSync } from 'node:zlib';
import { architectureNames, matchArchitectures } from '../../server/src/architectures/match';
import type { WeightsFile } from '../../server/src/checkpoint/checkpoint';
import { identify } from '../../server/src/checkpoint/identify';
import { toModel } from '../../server/src/checkpoint/model';
import { rawTensor } from '../../server/src/checkpoint/stored-tensor';
import type { Engine } from '../../server/src/engine/engine';
import { createOrtEngine } from '../../server/src/engine/ort';
import { elementCount } from '../../server/src/graph/shapes';
import { projectRoot } from '../outside';

/**
 * Every architecture against torch's forward pass of the network it stands for
 * (networks.py, make_goldens.py): found without help from names and shapes, and
 * equal in its logits.
 */

interface Golden {
  readonly name: string;
  readonly sample: readonly number[];
  readonly shapes: Readonly<Record<string, readonly number[]>>;
  /** Of two samples. */
  readonly logits: readonly number[];
}

const goldens = JSON.parse(
  gunzipSync(readFileSync(join(projectRoot(), 'test/architectures/goldens.json.gz'))).toString(),
) as readonly Golden[];

/** The values that make_goldens.py gave: in [−1, 1), from a hash of the name and the place. */
function uniform(name: string, count: number): Float64Array {
  const seed = crc32(name);
  return Float64Array.from({ length: count }, (_, i) => {
    let h = (Math.imul(i, 0x9e3779b1) + seed) | 0;
    h = Math.imul(h ^ (h >>> 16), 0x85ebca6b);
    h = Math.imul(h ^ (h >>> 13), 0xc2b2ae35);
    return ((h ^ (h >>> 16)) >>> 0) / 2 ** 31 - 1;
  });
}

function weights(name: string, shape: readonly number[]): Float32Array {
  const values = uniform(name, elementCount(shape));
  const isScale = name.endsWith('running_var') || (name.endsWith('weight') && shape.length === 1);
  const gain = name.endsWith('weight') ? Math.sqrt(6 / elementCount(shape.slice(1))) : 0.2;
  return Float32Array.from(values, (u) => (isScale ? 1 + 0.5 * u : gain * u));
}

function checkpoint({ shapes }: Pick<Golden, 'shapes'>): WeightsFile {
  const tensors = Object.entries(shapes).map(([name, shape]) => {
    const counter = name.endsWith('num_batches_tracked');
    const bytes = (): Uint8Array => (counter ? new Uint8Array(8) : new Uint8Array(weights(name, shape).buffer));
    return [name, rawTensor(name, counter ? 'int64' : 'float32', shape, name, bytes)] as const;
  });
  return {
    kind: 'weights',
    container: 'pytorch archive',
    format: 'test',
    path: 'golden',
    producer: '',
    tensors: new Map(tensors),
  };
}

let engine: Engine;
before(async () => {
  engine = await createOrtEngine(1);
});

const shapesOf = ({ shapes }: Golden): Map<string, readonly number[]> => new Map(Object.entries(shapes));

for (const golden of goldens) {
  const { name, sample, logits } = golden;
  test(`${name} [${sample.join(', ')}] is found, and computes what torch computes`, async () => {
    const { fitting } = matchArchitectures(shapesOf(golden), sample);
    assert.deepEqual(
      fitting.map(({ architecture }) => architecture.name),
      [name],
    );
    const model = await toModel(checkpoint(golden), { batch: 2, sample });
    const graph = { outputs: [{ name: 'logits', node: model.logits }] };
    const compiled = await engine.compile(graph, { parameters: model.parameters });
    const input = Float32Array.from(uniform('input', 2 * elementCount(sample)));
    const results = await compiled.run(new Map([[model.input.attributes.name, input]]));
    await compiled.dispose();
    const scale = logits.reduce((most, x) => Math.max(most, Math.abs(x)), 0);
    const error = Math.max(...results.get('logits')!.map((x, i) => Math.abs(x - logits[i]!))) / scale;
    assert.ok(error < 1e-4, `relative error ${error}`);
  });
}

test('every architecture has a golden, or is one of a series whose others have', () => {
  const covered = new Set(goldens.map(({ name }) => name));
  const rest = architectureNames.filter((name) => !covered.has(name));
  const series = /^(densenet(161|201)|wideresnet(22|34|40)(-late-stride)?)$/;
  assert.deepEqual(
    rest.filter((name) => !series.test(name)),
    [],
  );
});

test('a difference in one tensor is named', () => {
  const golden = goldens.find(({ name }) => name === 'resnet18-cifar')!;
  const shapes = { ...golden.shapes, 'layer2.0.conv1.weight': [8, 4, 5, 5] };
  const { found, advice } = identify(checkpoint({ shapes }));
  assert.equal(found.length, 0);
  assert.equal(
    advice,
    'no architecture fits: closest is resnet18-cifar, but layer2.0.conv1.weight is [8, 4, 5, 5], not [any, 4, 3, 3];' +
      ' export the network with torch.onnx.export(model, example, "model.onnx") and open that, or give it with --graph',
  );
});

test('names and shapes alone may fit several: the data decide, or the user', async () => {
  const golden = goldens.find(({ name }) => name === 'lenet5')!;
  assert.deepEqual(
    identify(checkpoint(golden)).found.map(({ name }) => name),
    ['lenet5', 'lenet5-padded'],
  );
  await assert.rejects(
    toModel(checkpoint(golden), { batch: 1 }),
    /^InputError: several architectures fit: lenet5, lenet5-padded \(golden\); choose one with --architecture NAME$/,
  );
  const model = await toModel(checkpoint(golden), { batch: 1, architecture: 'lenet5-padded' });
  assert.deepEqual(model.input.shape, [1, 3, 28, 28]);
  await assert.rejects(
    toModel(checkpoint(golden), { batch: 1, architecture: 'lenet' }),
    /^InputError: unknown architecture: lenet; known are mlp, lenet5,/,
  );
  await assert.rejects(
    toModel(checkpoint(golden), { batch: 1, architecture: 'resnet18' }),
    /^InputError: architecture does not fit: resnet18: conv1\.weight is \[6, 3, 5, 5\], not \[any, 3, 7, 7\]/,
  );
});
