import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { addAnalysis, entryFor, type Answers } from './wizard-file';

const answers: Answers = {
  path: '/project/data/mnist',
  split: 'test',
  scale: 255,
  normalize: { mean: [0.1307], deviation: [0.3081] },
};

describe('entryFor', () => {
  it('writes paths relative to the file', () => {
    assert.deepEqual(entryFor('/project/pruning-limit.json', '/project/models/a.onnx', answers), {
      checkpoint: 'models/*.onnx',
      data: {
        path: 'data/mnist',
        split: 'test',
        scale: 255,
        normalize: { mean: [0.1307], deviation: [0.3081] },
        layout: 'auto',
      },
    });
    const { checkpoint, data } = entryFor('/project/models/pruning-limit.json', '/project/models/a.onnx', answers);
    assert.equal(checkpoint, '*.onnx');
    assert.equal(data['path'], '../data/mnist');
  });

  it('leaves normalisation out when there is none', () => {
    const { data } = entryFor('/p/pruning-limit.json', '/p/a.onnx', { ...answers, normalize: null, path: '/p' });
    assert.equal('normalize' in data, false);
    assert.equal(data['path'], '.');
  });

  it('takes characters of a folder literally', () => {
    const { checkpoint } = entryFor('/p/pruning-limit.json', '/p/run[1]*/a.onnx', answers);
    assert.equal(checkpoint, 'run[[]1][*]/*.onnx');
  });
});

describe('addAnalysis', () => {
  const entry = entryFor('/p/pruning-limit.json', '/p/a.onnx', answers);

  it('starts a file, with lists of numbers on one line', () => {
    const text = addAnalysis(undefined, entry);
    assert.deepEqual(JSON.parse(text), { analyses: [entry] });
    assert.match(text, /"mean": \[0\.1307\],\n/);
    assert.ok(text.endsWith('}\n'));
  });

  it('puts a further entry before the others and keeps the rest', () => {
    const before = JSON.stringify({ $schema: 's', analyses: [{ checkpoint: 'old' }] });
    assert.deepEqual(JSON.parse(addAnalysis(before, entry)), {
      $schema: 's',
      analyses: [entry, { checkpoint: 'old' }],
    });
  });

  it('refuses a file that is something else', () => {
    for (const text of ['[]', '{}', 'null', '{"analyses": 1}'])
      assert.throws(() => addAnalysis(text, entry), /analyses/);
    assert.throws(() => addAnalysis('{', entry), SyntaxError);
  });
});
