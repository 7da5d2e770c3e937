import assert from 'node:assert/strict';
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { inspectCheckpoint } from '../../server/src/checkpoint/inspect';
import { InputError } from '../../server/src/errors';
import { projectRoot, sharedData, withoutSharedData } from '../outside';

/**
 * Every file of the test data's checkpoints: each tensor as another program
 * reads it (tensors.json, written by test/checkpoints/table.py), or the reason
 * for which the file is refused.
 */

type Described = readonly [dtype: string, shape: readonly number[], sha256: string];

interface Entry {
  readonly oracle: string | null;
  readonly tensors?: Readonly<Record<string, Described>>;
  /** Values of Constant nodes; those that are weights are listed. */
  readonly constants?: Readonly<Record<string, Described>>;
  /** Hashes of all storages of an archive, where no other program reads it without running it. */
  readonly storages?: readonly string[];
  readonly error?: string;
}

const table = JSON.parse(readFileSync(join(projectRoot(), 'test/outside/tensors.json'), 'utf8')) as Record<
  string,
  Entry
>;
const skip = withoutSharedData();
const root = join(sharedData() ?? '', 'checkpoints');

const UNKNOWN = /^format unknown: /;
const calls = (name: string): RegExp => new RegExp(`^pickle refused: it wants to call ${name.replace('.', '\\.')} `);

/** Files that are refused, and why. Malformed safetensors have their reasons in the data. */
const refusals: Readonly<Record<string, RegExp>> = {
  'keras/mlperf_tiny/perf_samples_idxs.npy': UNKNOWN,
  'keras/mlperf_tiny/pretrainedResnet.tflite': UNKNOWN,
  'malformed-safetensors/expected.json': UNKNOWN,
  'malicious-pickles/benign0_v3.pkl': /^no tensors: /,
  'malicious-pickles/int_arrays.npz': /^archive without a checkpoint: /,
  'malicious-pickles/int_arrays_compressed.npz': /^archive without a checkpoint: /,
  'malicious-pickles/keyerror-exploit.pkl': calls('os.system'),
  'malicious-pickles/malicious-invalid-bytes.pkl': calls('os.system'),
  'malicious-pickles/malicious1_v0.pkl': calls('builtins.eval'),
  'malicious-pickles/malicious1_v3.pkl': calls('builtins.eval'),
  'malicious-pickles/malicious1_v4.pkl': calls('builtins.eval'),
  'malicious-pickles/malicious2_v4.pkl': calls('posix.system'),
  'malicious-pickles/malicious9.pkl': calls('sys.exit'),
  'malicious-pickles/not_a_pickle.bin': /^file truncated: /,
  'malicious-pickles/object_array.npy': UNKNOWN,
  'malicious-pickles/pytorch_magic_bypass.pt': calls('builtins.eval'),
  'onnx/burn_fixtures/external_data.onnx': /^external data missing: external_data\.bin/,
  'onnx/burn_fixtures/mixed_data.onnx': /^external data missing: mixed_data\.bin/,
  'onnx/burn_fixtures/multi_external_files.onnx': /^external data missing: multi_external_weights\.bin/,
  'pytorch/burn_store_tests/reader__test_data__broken.pt': UNKNOWN,
  'tfjs/akanimoh/group1-shard1of1.bin': UNKNOWN,
  'tfjs/cnn_explainer_tinyvgg/group1-shard1of1.bin': /^JSON damaged: /,
  'tfjs/cnn_explainer_tinyvgg/nn_10.json': UNKNOWN,
  'tfjs/subhadip_cnn/group1-shard1of1.bin': UNKNOWN,
  ...Object.fromEntries(
    [0, 1, 2]
      .flatMap((set) => [`test_data_set_${set}/input_0.pb`, `test_data_set_${set}/output_0.pb`])
      .map((name) => [`onnx/mnist_zoo/${name}`, UNKNOWN]),
  ),
};

/** What the reference implementation calls the damage (expected.json), and what it is called here. */
const damages: Readonly<Record<string, RegExp>> = {
  MetadataIncompleteBuffer: /^safetensors tensors incomplete: /,
  HeaderTooLarge: /^safetensors header too large: /,
  HeaderTooSmall: /^file empty: /,
  InvalidHeaderLength: /^safetensors header length: /,
  InvalidHeader: /^safetensors header is not UTF-8: /,
  InvalidHeaderDeserialization: /^safetensors header is not JSON: /,
  TensorInvalidInfo: /^safetensors tensor info: /,
  ValidationOverflow: /^safetensors shape overflows: /,
};

const MALFORMED = 'malformed-safetensors/';

/** The reason for which a file must be refused; undefined for those that must be read. */
function refusalOf(name: string): RegExp | undefined {
  if (refusals[name] !== undefined || !name.startsWith(MALFORMED)) return refusals[name];
  const expected = JSON.parse(readFileSync(join(root, MALFORMED, 'expected.json'), 'utf8')) as string[][];
  const outcome = expected.find(([file]) => MALFORMED + file === name)![2]!;
  return outcome === 'ok' ? undefined : damages[outcome.replace('error:', '')];
}

test('every file is in the table', { skip }, () => {
  const files = readdirSync(root, { recursive: true, withFileTypes: true }).filter((entry) => entry.isFile());
  const names = files.map(({ parentPath, name }) => join(parentPath, name).slice(root.length + 1));
  assert.deepEqual(names.sort(), Object.keys(table).sort());
});

for (const [name, entry] of Object.entries(table)) {
  test(`${name}: as ${entry.oracle ?? 'expected'}`, { skip }, async () => {
    const refusal = refusalOf(name);
    const list = inspectCheckpoint(join(root, name), true);
    if (refusal !== undefined) {
      await assert.rejects(list, (error) => error instanceof InputError && refusal.test(error.message));
      return;
    }
    const found = (await list).tensors.map((tensor): [string, Described] => [
      tensor.name,
      [tensor.dtype, tensor.shape, tensor.sha256!.slice(0, 16)],
    ]);
    if (entry.storages !== undefined) {
      assert.deepEqual([...new Set(found.map(([, [, , hash]]) => hash))].sort(), entry.storages);
      return;
    }
    const wanted = entry.tensors!;
    const constants = Object.entries(entry.constants ?? {}).filter(
      ([key]) => wanted[key] === undefined && found.some(([other]) => other === key),
    );
    assert.deepEqual(Object.fromEntries(found), { ...wanted, ...Object.fromEntries(constants) });
  });
}
