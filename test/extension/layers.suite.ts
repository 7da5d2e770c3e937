/** The layer summary as a document of the editor, before anything was computed. */
import assert from 'node:assert/strict';
import { copyFileSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { monitorEventLoopDelay } from 'node:perf_hooks';
import * as vscode from 'vscode';
import { deepModel, LAYERS } from '../large';
import { edited } from '../rig/sample';
import {
  checkpoint,
  folder,
  hover,
  layersInFront,
  layersOf,
  lenses,
  model,
  openLayers,
  problems,
  some,
  until,
} from './window';

/** The project's own checkpoints in other formats. */
const files = vscode.Uri.joinPath(
  vscode.extensions.getExtension('pruning-limit.pruning-limit')!.extensionUri,
  'test/checkpoints/files',
).fsPath;

describe('layer summary', () => {
  it('is a read-only document of its own language', async () => {
    const document = await openLayers();
    assert.equal(document.languageId, 'model-layers');
    assert.match(document.getText(), /^# checkpoint {2,}\S/);
    assert.match(document.getText(), /^# limit {2,}not computed yet$/m);
    const before = document.getText();
    await vscode.commands.executeCommand('type', { text: 'x' });
    assert.equal(document.getText(), before);
  });

  it('opens by "Open With…", whatever the format', async () => {
    await vscode.commands.executeCommand('workbench.action.closeAllEditors');
    for (const [name, format] of [
      ['digits.onnx', 'ONNX'],
      ['wrapped.pt', 'PyTorch'],
      ['sequential.keras', 'Keras'],
      ['functional.h5', 'Keras'],
    ] as const) {
      const file = model(name);
      if (name !== 'digits.onnx') copyFileSync(join(files, name), file.fsPath);
      await vscode.commands.executeCommand('vscode.openWith', file, 'pruningLimit.layers');
      const text = (await layersInFront(file)).getText();
      assert.ok(text.split('\n')[0]!.includes(`${name} (${format}`), text);
      assert.match(text, /^[^#\s]\S* .*\d+×\d+/m, 'weights are listed');
      await until('the editor that gave way to go', () =>
        vscode.window.tabGroups.activeTabGroup.tabs.length === 1 ? true : undefined,
      );
      await vscode.commands.executeCommand('workbench.action.closeAllEditors');
    }
  });

  it('opens from the tree of runs', async () => {
    // The view gives its row, which is a run.
    await vscode.commands.executeCommand('pruningLimit.showLayers', { id: '1', checkpoint: checkpoint.fsPath });
    await layersInFront(checkpoint);
  });

  it('says what is wrong with a file that is no checkpoint, and follows it when it becomes one', async () => {
    const file = model('later.onnx');
    writeFileSync(file.fsPath, 'not yet');
    const document = await openLayers(file);
    assert.match(document.getText(), /^# error {2,}\S/m);
    copyFileSync(checkpoint.fsPath, file.fsPath);
    await until('the layers', () => (/^conv1\.weight /m.test(document.getText()) ? true : undefined));
  });

  it('offers to compute above its first line', async () => {
    await openLayers();
    const found = await lenses(layersOf(checkpoint));
    assert.deepEqual(
      found.map(({ command }) => command?.command),
      ['pruningLimit.compute'],
    );
  });

  it('lists its layers as symbols and says more about one on hover', async () => {
    const document = await openLayers();
    const symbols = await symbolsOf(checkpoint);
    assert.equal(symbols[0]?.name, 'conv1.weight');
    assert.match(await hover(document, 'conv1.weight'), /conv1\.weight[^]*zero already/);
  });

  it('folds by block, and has blocks in its outline', async () => {
    const file = model('sequential.keras');
    await openLayers(file);
    const folds = await some('ranges to fold', () =>
      vscode.commands.executeCommand<vscode.FoldingRange[]>('vscode.executeFoldingRangeProvider', layersOf(file)),
    );
    const symbols = await symbolsOf(file);
    assert.deepEqual(
      symbols.map(({ name }) => name),
      ['layers'],
    );
    const convolution = symbols[0]!.children.find(({ name }) => name === 'layers/separable_conv2d')!;
    assert.equal(convolution.children[0]!.children.length, 2, JSON.stringify(convolution));
    const { start, end } = convolution.range;
    for (const [from, to] of [
      [start.line, end.line],
      [symbols[0]!.range.start.line, symbols[0]!.range.end.line],
      [0, 2],
    ])
      assert.ok(
        folds.some((fold) => fold.start === from && fold.end === to),
        `${from}–${to} of ${JSON.stringify(folds)}`,
      );
  });

  it('has weights in the problems that are NaN, of one value, or zero already', async () => {
    const file = model('damaged.onnx');
    const damaged = edited(readFileSync(checkpoint.fsPath), (name, values) => {
      if (name === 'conv1.weight') values[5] = NaN;
      if (name === 'conv2.weight') values.fill(0.25);
      if (name === 'fc1.weight') values.fill(0, 0, values.length / 2);
    });
    writeFileSync(file.fsPath, damaged);
    const document = await openLayers(file);
    const found = await some('problems', async () => problems(layersOf(file)));
    const { Warning, Information } = vscode.DiagnosticSeverity;
    assert.deepEqual(
      found.map(({ code, severity, range }) => [code, severity, document.getText(range)]),
      [
        ['non-finite-weights', Warning, 'conv1.weight'],
        ['constant-weights', Warning, 'conv2.weight'],
        ['already-sparse', Information, 'fc1.weight'],
      ],
    );
    assert.match(found[0]!.message, /1 of 72 weights that are NaN or infinite.*take a checkpoint from before/);
    assert.match(await hover(document, 'conv1.weight'), /NaN or infinite/);
    assert.match(await hover(document, 'conv2.weight'), /same value/);
  });

  it('is made for a network beside others in folders of the workspace', async () => {
    mkdirSync(join(folder.fsPath, 'a', 'b'), { recursive: true });
    const file = vscode.Uri.joinPath(folder, 'a', 'b', 'name with spaces #1.onnx');
    copyFileSync(checkpoint.fsPath, file.fsPath);
    const document = await openLayers(file);
    assert.match(document.getText(), /name with spaces #1\.onnx/);
  });

  it('of a network of 5,000 layers leaves the window its turn', async () => {
    mkdirSync(join(folder.fsPath, 'deep'), { recursive: true });
    const file = vscode.Uri.joinPath(folder, 'deep', 'deep.onnx');
    writeFileSync(file.fsPath, deepModel());
    const loop = monitorEventLoopDelay({ resolution: 5 });
    loop.enable();
    const document = await openLayers(file);
    assert.ok(document.lineCount > LAYERS);
    assert.equal((await symbolsOf(file)).length, 5);
    for (const line of [0, 2500, 4990]) {
      const name = /block\d+\.fc\d+\.weight/.exec(document.lineAt(document.lineCount - 5000 + line).text)![0];
      assert.match(await hover(document, name), /fc\d\.weight/);
    }
    loop.disable();
    // Several times what it takes, for machines that do other things too; npm run bench:editor measures it.
    assert.ok(loop.max < 500e6, `a turn of ${loop.max / 1e6} ms`);
  });
});

function symbolsOf(uri: vscode.Uri): Promise<vscode.DocumentSymbol[]> {
  return some('symbols', () =>
    vscode.commands.executeCommand<vscode.DocumentSymbol[]>('vscode.executeDocumentSymbolProvider', layersOf(uri)),
  );
}
