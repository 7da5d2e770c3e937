import assert from 'node:assert/strict';
import { test } from 'node:test';
import { pythonModules } from './definitions';
import { matchLayers } from './match';

/** Layer → what its definition says. */
async function matched(source: string, ...layers: string[]): Promise<Record<string, string>> {
  const lines = source.split('\n');
  const matches = matchLayers(await pythonModules(source), layers);
  return Object.fromEntries(
    matches.map(({ layer, definition: { line, start, endLine, end } }) => [
      layer,
      lines[line]!.slice(start, line === endLine ? end : undefined),
    ]),
  );
}

const NETWORK = `
import torch.nn as nn

class Block(nn.Module):
    def __init__(self, width):
        super().__init__()
        self.conv = nn.Conv2d(width, width, 3)

class Network(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv1 = nn.Conv2d(1, 8, 3)
        self.features = nn.Sequential(
            nn.Conv2d(8, 16, 3),  # a comment
            nn.ReLU(),
            nn.Sequential(nn.Conv2d(16, 32, 3)),
        )
        self.blocks = nn.ModuleList([Block(8), nn.Linear(3, 4)])
        self.fc: nn.Module = torch.nn.Linear(32, 10)

    def forward(self, x):
        # self.conv2 = nn.Conv2d(9, 9, 9)
        return "self.conv3 = nn.Conv2d(9, 9, 9)"
`;

test('layers are found through attributes, containers and classes of the file', async () => {
  assert.deepEqual(
    await matched(
      NETWORK,
      'conv1.weight',
      'features.0.weight',
      'features.2.0.weight',
      'blocks.0.conv.weight',
      'blocks.1.weight',
      'fc.weight',
      'conv2.weight',
      'conv3.weight',
    ),
    {
      'conv1.weight': 'nn.Conv2d(1, 8, 3)',
      'features.0.weight': 'nn.Conv2d(8, 16, 3)',
      'features.2.0.weight': 'nn.Conv2d(16, 32, 3)',
      'blocks.0.conv.weight': 'nn.Conv2d(width, width, 3)',
      'blocks.1.weight': 'nn.Linear(3, 4)',
      'fc.weight': 'torch.nn.Linear(32, 10)',
    },
  );
});

const twice = (first: string, second: string) => `
class A(nn.Module):
    def __init__(self):
        self.conv = ${first}
class B(nn.Module):
    def __init__(self):
        self.conv = ${second}
`;

test('nothing is said where two classes fit, or the class is there twice', async () => {
  assert.deepEqual(await matched(twice('nn.Conv2d(1, 2, 3)', 'nn.Conv2d(1, 2, 5)'), 'conv.weight'), {});
  const same = twice('nn.Conv2d(1, 2, 3)', 'nn.Conv2d(1, 2, 5)').replace('class B', 'class A');
  assert.deepEqual(await matched(same, 'conv.weight'), {});
});

test('nothing is said where a layer is assigned twice, or one line makes several', async () => {
  const source = `
class Block(nn.Module):
    def __init__(self):
        self.conv = nn.Conv2d(1, 1, 3)
class Network(nn.Module):
    def __init__(self, wide):
        if wide:
            self.first = nn.Conv2d(1, 8, 3)
        else:
            self.first = nn.Conv2d(1, 4, 3)
        self.a = Block()
        self.b = Block()
        self.fc = nn.Linear(1, 1)
`;
  const layers = ['first.weight', 'a.conv.weight', 'b.conv.weight', 'fc.weight'];
  assert.deepEqual(await matched(source, ...layers), { 'fc.weight': 'nn.Linear(1, 1)' });
});

test('a class that makes few of the layers is not the network', async () => {
  assert.deepEqual(await matched(NETWORK, 'conv1.weight', 'a.weight', 'b.weight', 'c.weight'), {});
});

test('what depends on values is not followed', async () => {
  const source = `
class Network(nn.Module):
    def __init__(self, n):
        self.fc = nn.Linear(1, 1)
        self.rest = nn.Sequential(*[nn.Linear(1, 1) for _ in range(n)])
        self.many = nn.ModuleList([nn.Linear(1, 1) for _ in range(n)])
`;
  const layers = ['fc.weight', 'rest.0.weight', 'many.0.weight'];
  assert.deepEqual(await matched(source, ...layers.slice(0, 2)), { 'fc.weight': 'nn.Linear(1, 1)' });
  assert.deepEqual(await matched(source, ...layers), {}, 'one of three is too little');
});

test('Keras layers are found by their names', async () => {
  const source = `
model = keras.Sequential([
    layers.Conv2D(8, 3, name="conv_a"),
    layers.Dense(10, name='head'),
    layers.Dense(10, name=f'head{i}'),
    layers.Dense(10, name='twice'), layers.Dense(10, name='twice'),
])
`;
  assert.deepEqual(await matched(source, 'model/conv_a/kernel:0', 'model/head/kernel:0', 'model/twice/kernel:0'), {
    'model/conv_a/kernel:0': 'layers.Conv2D(8, 3, name="conv_a")',
    'model/head/kernel:0': "layers.Dense(10, name='head')",
  });
});

test('broken source and classes that hold each other do no harm', async () => {
  assert.deepEqual(await matched('class A(\n  self.x = nn.Conv2d(', 'x.weight'), {});
  const cyclic = `
class A(nn.Module):
    def __init__(self):
        self.a = B()
        self.b = B()
class B(nn.Module):
    def __init__(self):
        self.a = A()
        self.b = A()
`;
  assert.deepEqual(await matched(cyclic, 'a.weight'), {});
});
