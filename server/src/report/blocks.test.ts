import assert from 'node:assert/strict';
import { test } from 'node:test';
import { isBlock, layerBlocks, type Block } from './blocks';
import { layerLines, type LayerLine } from './layers-text';

type Shown = string | { readonly [name: string]: readonly Shown[] };
const shown = (node: Block | LayerLine): Shown =>
  isBlock(node) ? { [node.name]: node.children.map(shown) } : node.layer;
const blocks = (...names: string[]) => layerBlocks(layerLines(names.map((name) => `${name}  Conv`).join('\n')));

test('neighbours with a common part are a block, inside one another too', () => {
  const nodes = blocks('conv1.weight', 'layer1.0.a.weight', 'layer1.0.b.weight', 'layer1.1.a.weight', 'fc.weight');
  assert.deepEqual(nodes.map(shown), [
    'conv1.weight',
    { layer1: [{ 'layer1.0': ['layer1.0.a.weight', 'layer1.0.b.weight'] }, 'layer1.1.a.weight'] },
    'fc.weight',
  ]);
  const block = nodes[1] as Block;
  assert.deepEqual([block.first.line, block.last.line], [1, 3]);
});

test('slashes part names as well, and the last part is the parameter', () => {
  assert.deepEqual(blocks('block1/conv/kernel:0', 'block1/dense/kernel:0').map(shown), [
    { block1: ['block1/conv/kernel:0', 'block1/dense/kernel:0'] },
  ]);
  assert.deepEqual(blocks('a', 'a', 'w.1', 'w.2', 'x', '..').map(shown), ['a', 'a', { w: ['w.1', 'w.2'] }, 'x', '..']);
});

test('what is not beside one another is not one block', () => {
  assert.deepEqual(blocks('a.x.w', 'b.x.w', 'a.y.w').map(shown), ['a.x.w', 'b.x.w', 'a.y.w']);
});

test('five thousand layers are grouped at once', () => {
  const names = Array.from({ length: 5000 }, (_, i) => `blocks.${i >> 2}.conv${i & 3}.weight`);
  assert.equal((blocks(...names)[0] as Block).children.length, 1250);
});
