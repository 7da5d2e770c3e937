import assert from 'node:assert/strict';
import { join } from 'node:path';
import { test } from 'node:test';
import { tinySubject } from '../../../test/cli/subject';
import { CurvatureOperator } from '../curvature/operator';
import { chooseSamples } from '../dataset/sampling';
import { createOrtEngine } from '../engine/ort';
import { DEFAULT_OPTIONS } from '../options';
import { AnalysisClock, NO_JOURNAL, type Journal, type JournalEntry } from './journal';
import { MemoryGuard } from './memory';
import { Operators } from './operators';
import { openSubject } from './subject';

async function opened(folder: string, samples: number | 'all') {
  const data = { ...DEFAULT_OPTIONS.data, path: join(folder, 'data'), samples };
  const options = { ...DEFAULT_OPTIONS, data, batch: 16 };
  return openSubject({ checkpoint: join(folder, 'net.onnx'), options }, new MemoryGuard(0));
}

type Opened = Awaited<ReturnType<typeof opened>>;

const inputs = ({ batches }: Opened): number[][] => {
  const width = batches[0]!.inputs.length / (batches[0]!.targets.length / 3);
  return batches.flatMap(({ inputs, labels, count }) =>
    Array.from({ length: count }, (_, i) => [labels[i]!, ...inputs.subarray(i * width, (i + 1) * width)]),
  );
};
const sorted = (rows: number[][]) => rows.map((row) => row.join()).sort();

test('parts from 0 are what fewer samples would have chosen, and all parts together are all samples', async (t) => {
  const folder = tinySubject(t);
  for (const samples of [40, 'all'] as const) {
    const subject = await opened(folder, samples);
    assert.deepEqual(sorted(inputs(subject.part(0, 20))), sorted(inputs(await opened(folder, 20))));
    const parts = [0, 1, 2, 3].map((i) => subject.part((i * subject.samples) / 4, ((i + 1) * subject.samples) / 4));
    assert.deepEqual(sorted(parts.flatMap(inputs)), sorted(inputs(subject)));
    for (const part of parts) {
      assert.equal(part.samples, subject.samples / 4);
      // A part of a part, too.
      assert.deepEqual(inputs(part.part(2, 5)), inputs(part).slice(2, 5));
      for (let label = 0; label < 3; label++) {
        const share = inputs(part).filter(([own]) => own === label).length;
        assert.ok(Math.abs(share - part.samples / 3) <= 1, `${share} of ${part.samples} are of class ${label}`);
      }
    }
  }
  const { dataset } = await opened(folder, 'all');
  assert.equal(chooseSamples(dataset, 20, 1).length, 20);
});

test('the products of a part are those of an analysis of its samples, whatever came before, and are kept apart', async (t) => {
  const folder = tinySubject(t);
  const subject = await opened(folder, 'all');
  const engine = await createOrtEngine(1);
  let compiled = 0;
  const counting: typeof engine = {
    description: engine.description,
    compile: (...args) => (compiled++, engine.compile(...args)),
    dispose: () => engine.dispose(),
  };
  const entries = new Map<string, JournalEntry>();
  const journal: Journal = {
    recall: (operator, vectors) => entries.get(`${operator} ${vectors.map((v) => v.join()).join()}`) ?? null,
    keep: (operator, vectors, entry) => void entries.set(`${operator} ${vectors.map((v) => v.join()).join()}`, entry),
  };
  let work = 0;
  const progress = { work: async (share: number) => void (work += share) };
  const batching = { network: subject, makeSmaller: () => Promise.resolve(false) };
  const operators = new Operators(counting, batching, journal, new AnalysisClock(), progress, 0);
  const vector = Float32Array.from({ length: subject.layout.dimension }, (_, i) => Math.sin(i));
  const places = [
    [0, 24],
    [24, 48],
    [0, 12],
    [36, 48],
  ] as const;
  const products = async () => {
    const parts = operators.parts('hessian', subject);
    const found: Float32Array[] = [];
    for (const [first, end] of places) {
      const operator = await parts.of(first, end);
      found.push(...(await operator.apply([vector])));
      assert.equal(operator.products, 1);
    }
    await parts.dispose();
    return found;
  };
  const found = await products();
  assert.equal(compiled, 1, 'one program for all parts');
  assert.ok(Math.abs(work - 1.5) < 1e-9, `${work} products of all samples`);
  for (const [i, [first, end]] of places.entries()) {
    const { model, layout, batches } = subject.part(first, end);
    const alone = new CurvatureOperator(engine, model, layout, 'hessian', batches);
    assert.deepEqual(found[i], (await alone.apply([vector]))[0]);
    await alone.dispose();
  }
  assert.deepEqual(await products(), found);
  assert.deepEqual([compiled, entries.size, work], [1, places.length, 3], 'recalled');
  const none = new Operators(engine, batching, NO_JOURNAL, new AnalysisClock(), progress, 0);
  const half = none.parts('hessian', await subject.withBatch(5));
  const [other] = await (await half.of(0, 24)).apply([vector]);
  const norm = Math.hypot(...found[0]!);
  assert.ok(Math.hypot(...found[0]!.map((x, i) => x - other![i]!)) < 1e-5 * norm, 'in other batches');
  await half.dispose();
});
