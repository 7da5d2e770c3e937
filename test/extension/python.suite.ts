/** Python that makes the network, beside what is known of its layers. The limits of the sample are known by then. */
import assert from 'node:assert/strict';
import { readFileSync, writeFileSync } from 'node:fs';
import * as vscode from 'vscode';
import { renamed } from '../rig/sample';
import {
  compute,
  configure,
  checkpoint,
  hints,
  hover,
  layersOf,
  model,
  openLayers,
  openText,
  QUICK,
  until,
} from './window';

const torch = (name: string) =>
  [
    'import torch.nn as nn',
    '',
    `class ${name}(nn.Module):`,
    '    def __init__(self):',
    '        super().__init__()',
    ...['conv1', 'conv2', 'conv3'].map((layer) => `        self.${layer} = nn.Conv2d(8, 16, 3)`),
    '        self.fc1 = nn.Linear(',
    '            128, 32',
    '        )',
    '        self.fc2 = nn.Linear(32, 10)',
    '',
  ].join('\n');

/** Lines with a hint of ours, once there are some. */
const hinted = (document: vscode.TextDocument) =>
  until('hints', async () => {
    const found = (await hints(document)).filter(({ label }) => /kept weights|vanishes/.test(String(label)));
    return found.length > 0 ? found.map(({ position }) => position.line) : undefined;
  });

describe('Python source', () => {
  before(async () => {
    configure(QUICK);
    assert.equal(await compute(), 'done');
  });

  it('has hints and hovers where it makes the layers, and leads there', async () => {
    const document = await openText('network.py', torch('Network'));
    assert.deepEqual(await hinted(document), [5, 6, 7, 10, 11]);
    assert.match(await hover(document, 'nn.Conv2d'), /conv1\.weight[^]*kept at the limit/);
    const layers = await openLayers();
    const line = layers
      .getText()
      .split('\n')
      .findIndex((text) => text.startsWith('fc1.weight'));
    const [place] = await vscode.commands.executeCommand<vscode.Location[]>(
      'vscode.executeDefinitionProvider',
      layersOf(checkpoint),
      new vscode.Position(line, 2),
    );
    assert.equal(place?.uri.toString(), document.uri.toString());
    assert.equal(place.range.start.line, 8);
  });

  it('has nothing where it can be read in two ways', async () => {
    const document = await openText('network.py', `${torch('Network')}\n${torch('Twin')}`);
    await settled(document);
    assert.deepEqual(await hints(document), []);
    assert.equal(await hover(document, 'nn.Conv2d'), '');
  });

  it('knows Keras layers by their names', async () => {
    const keras = model('keras.onnx');
    const named = (name: string) => name.replace(/^(\w+)\.weight$/, 'digits/$1/kernel:0');
    writeFileSync(keras.fsPath, renamed(readFileSync(checkpoint.fsPath), named));
    assert.equal(await compute(keras), 'done');
    const source = [
      'from keras import layers',
      "x = layers.Conv2D(8, 3, name='conv1')(image)",
      "y = layers.Conv2D(16, 3, name='conv2')(x)",
      "z = layers.Dense(10, name='elsewhere')(y)",
      "a = layers.Dense(10, name='fc2')(y)",
      "b = layers.Dense(10, name='fc2')(y)",
    ].join('\n');
    const document = await openText('keras_network.py', source);
    assert.deepEqual(await hinted(document), [1, 2], 'neither what has no layer nor what has a name twice');
    assert.match(await hover(document, 'layers.Conv2D(16'), /digits\/conv2\/kernel:0[^]*kept at the limit/);
  });
});

/** Resolves when the server has dealt with the text: it answers in order. */
async function settled(document: vscode.TextDocument): Promise<void> {
  await vscode.commands.executeCommand('vscode.executeFoldingRangeProvider', document.uri);
}
