import assert from 'node:assert/strict';
import { test } from 'node:test';
import { run } from '../../../../../test/onnx-graphs';
import { floats, node } from '../../../../../test/onnx-models';
import { rowMajorStrides } from '../../../graph/shapes';

/** Einsum by definition: a sum over all values of all labels. Ellipses are written out as axes of the same size. */
function naive(equation: string, shapes: readonly (readonly number[])[], values: readonly number[][]): number[] {
  const [left, right] = equation.split('->');
  const terms = left!.split(',');
  const sizes = new Map<string, number>();
  terms.forEach((term, i) => [...term].forEach((label, axis) => sizes.set(label, shapes[i]![axis]!)));
  const labels = [...sizes.keys()];
  const output = [...right!];
  const result = new Array<number>(output.reduce((n, label) => n * sizes.get(label)!, 1)).fill(0);
  const place = (term: readonly string[], shape: readonly number[], at: ReadonlyMap<string, number>): number =>
    term.reduce((sum, label, axis) => sum + at.get(label)! * rowMajorStrides(shape)[axis]!, 0);
  const visit = (at: Map<string, number>, rest: readonly string[]): void => {
    if (rest.length > 0) {
      for (let i = 0; i < sizes.get(rest[0]!)!; i++) visit(new Map([...at, [rest[0]!, i]]), rest.slice(1));
      return;
    }
    const factor = terms.reduce((product, term, i) => product * values[i]![place([...term], shapes[i]!, at)]!, 1);
    result[
      place(
        output,
        output.map((label) => sizes.get(label)!),
        at,
      )
    ]! += factor;
  };
  visit(new Map(), labels);
  return result;
}

const cases: { equation: string; plain?: string; shapes: number[][] }[] = [
  {
    equation: 'ij,jk->ik',
    shapes: [
      [2, 3],
      [3, 4],
    ],
  },
  {
    equation: 'ij,kj->ki',
    shapes: [
      [2, 3],
      [4, 3],
    ],
  },
  {
    equation: ' b i j , b j k -> b i k ',
    plain: 'bij,bjk->bik',
    shapes: [
      [2, 3, 2],
      [2, 2, 3],
    ],
  },
  {
    equation: 'bhqd,bhkd->bhqk',
    shapes: [
      [2, 2, 3, 4],
      [2, 2, 2, 4],
    ],
  },
  { equation: 'i,j', plain: 'i,j->ij', shapes: [[2], [3]] },
  { equation: 'ba', plain: 'ba->ab', shapes: [[2, 3]] },
  { equation: 'ii', plain: 'ii->', shapes: [[3, 3]] },
  { equation: 'iij->ji', shapes: [[3, 3, 2]] },
  { equation: 'iii->i', shapes: [[2, 2, 2]] },
  {
    equation: 'ij,ij->',
    shapes: [
      [2, 3],
      [2, 3],
    ],
  },
  { equation: 'ij,k->j', shapes: [[2, 3], [4]] },
  {
    equation: 'ij,jk,kl->il',
    shapes: [
      [2, 3],
      [3, 2],
      [2, 4],
    ],
  },
  { equation: 'i,i,i->i', shapes: [[3], [3], [3]] },
  { equation: 'a,ab,b->', shapes: [[2], [2, 3], [3]] },
  {
    equation: '...ij,...jk->...ik',
    plain: 'xyij,xyjk->xyik',
    shapes: [
      [2, 2, 2, 3],
      [2, 2, 3, 2],
    ],
  },
  {
    equation: '...ij,jk',
    plain: 'xij,jk->xik',
    shapes: [
      [2, 2, 3],
      [3, 2],
    ],
  },
  {
    equation: '...i,...i->i',
    plain: 'xi,xi->i',
    shapes: [
      [3, 2],
      [3, 2],
    ],
  },
  { equation: 'i...->...', plain: 'ixy->xy', shapes: [[2, 3, 2]] },
];

for (const { equation, plain, shapes } of cases) {
  test(`einsum ${JSON.stringify(equation)} of ${JSON.stringify(shapes)}`, () => {
    const values = shapes.map((shape, i) =>
      Array.from({ length: shape.reduce((a, b) => a * b, 1) }, (_, at) => Math.round(7 * Math.sin(3 * at + i))),
    );
    const names = shapes.map((_, i) => `t${i}`);
    const tensors = shapes.map((shape, i) => floats(names[i]!, shape, values[i]!));
    const parts = { outputs: ['y'], nodes: [node('Einsum', names, ['y'], { equation })], tensors };
    // A sum from zero on has no −0.
    assert.deepEqual(
      run(parts).map((value) => value + 0),
      naive(plain ?? equation, shapes, values),
    );
  });
}

test('an ellipsis broadcasts', () => {
  const tensors = [floats('a', [1, 2], [1, 2]), floats('b', [3, 2], [1, 2, 3, 4, 5, 6])];
  const nodes = [node('Einsum', ['a', 'b'], ['y'], { equation: '...i,...i->...' })];
  assert.deepEqual(run({ outputs: ['y'], nodes, tensors }), [5, 11, 17]);
});

for (const equation of ['ij,jk', 'i->ij', 'i->', 'ij->ii', 'i.j', 'i->j->k']) {
  test(`refused: einsum ${JSON.stringify(equation)} of a matrix`, () => {
    const nodes = [node('Einsum', ['a'], ['y'], { equation })];
    assert.throws(
      () => run({ outputs: ['y'], nodes, tensors: [floats('a', [2, 2], [1, 2, 3, 4])] }),
      /^InputError: Einsum/,
    );
  });
}
