import assert from 'node:assert/strict';
import { test } from 'node:test';
import { randomValues, testRandom } from '../../../../test/reference/cases';
import { evaluate } from '../../../../test/reference/interpreter';
import { GraphBuilder } from '../builder';
import type { AnyNode, ConvAttributes } from '../ir';
import { elementCount } from '../shapes';
import { reachable } from '../traversal';
import { foldScales } from './fold-scales';

/** Evaluation-mode normalisation over axis 1: one scale and one shift per channel. */
function norm(b: GraphBuilder, x: AnyNode, name: string): AnyNode {
  const read = (part: string): AnyNode => perChannel(b, x, `${name} ${part}`);
  const scale = b.div(read('gamma'), b.sqrt(b.add(read('variance'), b.scalar(1e-5))));
  return b.add(b.mul(x, scale), b.sub(read('beta'), b.mul(read('mean'), scale)));
}

/** A vector parameter that broadcasts along axis 1 of `x`. */
function perChannel(b: GraphBuilder, x: AnyNode, name: string): AnyNode {
  const channels = x.shape[1]!;
  return b.reshape(b.parameter(name, [channels]), [1, channels, ...x.shape.slice(2).map(() => 1)]);
}

function conv(
  b: GraphBuilder,
  x: AnyNode,
  name: string,
  shape: readonly number[],
  attributes: Partial<ConvAttributes> = {},
): AnyNode {
  const spatial = shape.slice(2).map(() => 1);
  const defaults = { strides: spatial, dilations: spatial, pads: [...spatial, ...spatial], group: 1 };
  return b.conv(x, b.parameter(name, shape), { ...defaults, ...attributes });
}

/** Multiplications as large as the activations they scale. */
function activationMuls(root: AnyNode): number {
  return reachable([root]).filter((node) => node.op === 'mul' && node.shape[0] === 2 && elementCount(node.shape) > 32)
    .length;
}

/** Values that every node named in the graph is fed; variances are positive. */
function feedsOf(root: AnyNode): Map<string, Float64Array> {
  const random = testRandom(3);
  return new Map(
    reachable([root]).flatMap((node) => {
      if (node.op !== 'input' && node.op !== 'parameter') return [];
      const { name } = node.attributes;
      const low = name.endsWith('variance') ? 0.5 : -1;
      return [[name, randomValues(node.shape, random, low, 1)] as const];
    }),
  );
}

function assertSameValues(before: AnyNode, after: AnyNode): void {
  const [was, is] = evaluate([before, after], feedsOf(before));
  assert.deepEqual(after.shape, before.shape);
  was!.forEach((x, i) => assert.ok(Math.abs(is![i]! - x) <= 1e-12 * (1 + Math.abs(x)), `${is![i]} for ${x} at ${i}`));
}

interface FoldCase {
  readonly label: string;
  readonly make: (b: GraphBuilder) => AnyNode;
  /** Activation-sized multiplications before and after. */
  readonly muls: readonly [before: number, after: number];
}

const image = (b: GraphBuilder): AnyNode => b.input('x', [2, 4, 6, 6]);

const folded: readonly FoldCase[] = [
  {
    label: 'convolution, normalisation',
    make: (b) => norm(b, conv(b, image(b), 'w', [5, 4, 3, 3]), 'n'),
    muls: [1, 0],
  },
  {
    label: 'convolution, bias, normalisation',
    make: (b) => {
      const y = conv(b, image(b), 'w', [5, 4, 3, 3], { strides: [2, 2] });
      return norm(b, b.add(y, perChannel(b, y, 'bias')), 'n');
    },
    muls: [1, 0],
  },
  {
    label: 'bias on the left, factor on the left',
    make: (b) => {
      const y = conv(b, image(b), 'w', [5, 4, 3, 3]);
      return b.mul(perChannel(b, y, 'factor'), b.add(perChannel(b, y, 'bias'), y));
    },
    muls: [1, 0],
  },
  {
    label: 'two normalisations in a row',
    make: (b) => norm(b, norm(b, conv(b, image(b), 'w', [5, 4, 3, 3]), 'n'), 'm'),
    muls: [2, 0],
  },
  {
    label: 'a chain with a shortcut',
    make: (b) => {
      const x = image(b);
      const y = b.relu(norm(b, conv(b, x, 'v', [4, 4, 3, 3]), 'n'));
      return b.relu(b.add(norm(b, conv(b, y, 'w', [4, 4, 3, 3]), 'm'), x));
    },
    muls: [2, 0],
  },
  {
    label: 'groups',
    make: (b) => norm(b, conv(b, image(b), 'w', [4, 2, 3, 3], { group: 2 }), 'n'),
    muls: [1, 0],
  },
  {
    label: 'one spatial axis',
    make: (b) => norm(b, conv(b, b.input('x', [2, 4, 20]), 'w', [5, 4, 3]), 'n'),
    muls: [1, 0],
  },
  {
    label: 'three spatial axes',
    make: (b) => norm(b, conv(b, b.input('x', [2, 4, 3, 4, 3]), 'w', [5, 4, 3, 3, 3]), 'n'),
    muls: [1, 0],
  },
  {
    label: 'a factor for all channels',
    make: (b) => b.mul(conv(b, image(b), 'w', [5, 4, 3, 3]), b.reshape(b.parameter('factor', [1]), [1, 1, 1, 1])),
    muls: [1, 0],
  },
];

const left: readonly FoldCase[] = [
  {
    label: 'a normalisation behind the activation',
    make: (b) => norm(b, b.relu(conv(b, image(b), 'w', [5, 4, 3, 3])), 'n'),
    muls: [1, 1],
  },
  {
    label: 'a factor per sample',
    make: (b) => b.mul(conv(b, image(b), 'w', [5, 4, 3, 3]), b.reshape(b.parameter('factor', [2]), [2, 1, 1, 1])),
    muls: [1, 1],
  },
  {
    label: 'a factor per pixel',
    make: (b) => b.mul(conv(b, image(b), 'w', [5, 4, 3, 3]), b.parameter('factor', [6, 6])),
    muls: [1, 1],
  },
  {
    label: 'a sum of two activations',
    make: (b) => {
      const x = image(b);
      return norm(b, b.add(conv(b, x, 'w', [4, 4, 3, 3]), x), 'n');
    },
    muls: [1, 1],
  },
  {
    label: 'a product of two activations',
    make: (b) => b.mul(conv(b, image(b), 'v', [5, 4, 3, 3]), conv(b, image(b), 'w', [5, 4, 3, 3])),
    muls: [1, 1],
  },
];

for (const [verb, cases] of [
  ['folded', folded],
  ['left', left],
] as const) {
  for (const { label, make, muls } of cases) {
    test(`${verb}: ${label}`, () => {
      const b = new GraphBuilder();
      const before = make(b);
      const after = foldScales(b, before);
      assertSameValues(before, after);
      assert.deepEqual([activationMuls(before), activationMuls(after)], muls);
    });
  }
}

test('a convolution that is used twice keeps its own weights where it is not scaled', () => {
  const b = new GraphBuilder();
  const y = conv(b, image(b), 'w', [5, 4, 3, 3]);
  const before = b.add(norm(b, y, 'n'), b.relu(y));
  assertSameValues(before, foldScales(b, before));
});

test('a graph without scales is answered as it is', () => {
  const b = new GraphBuilder();
  const root = b.relu(conv(b, image(b), 'w', [5, 4, 3, 3]));
  assert.equal(foldScales(b, root), root);
});
