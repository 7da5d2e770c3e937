/** From the command to the answer, and what the editor then shows of it. */
import assert from 'node:assert/strict';
import { existsSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import * as vscode from 'vscode';
import { edited } from '../rig/sample';
import { WEAK_LAYER } from '../rig/workspace';
import { output } from './manifest.suite';
import {
  checkpoint,
  compute,
  configure,
  hints,
  hover,
  layersOf,
  lenses,
  model,
  openLayers,
  problems,
  QUICK,
  SLOW,
  until,
} from './window';

const layers = layersOf(checkpoint);
const cancel = () => vscode.commands.executeCommand<void>('pruningLimit.cancel', checkpoint);
/** Opened when an analysis is about to start. */
const panel = () =>
  vscode.window.tabGroups.all
    .flatMap(({ tabs }) => tabs)
    .find(({ input }) => input instanceof vscode.TabInputWebview && input.viewType.endsWith('pruningLimit.panel'));
/** Our problem of that kind, once it is there. */
const problem = (uri: vscode.Uri, code: string) =>
  until(code, () => problems(layersOf(uri)).find((one) => one.code === code));
/** The text that a problem stands at is that, once the document is that of the result. */
const standsAt = async (uri: vscode.Uri, range: vscode.Range, text: string) => {
  const document = await openLayers(uri);
  await until(text, () => (document.getText(range) === text ? true : undefined));
};

describe('analysis', () => {
  it('runs to its end, and the layer summary has the result', async () => {
    configure(QUICK);
    const document = await openLayers();
    const before = document.version;
    assert.equal(await compute(), 'done');
    assert.ok(panel(), 'the panel is open');
    await until('the new text', () => (document.version > before ? true : undefined));
    assert.match(document.getText(), /^# limit {2,}.*%.*Hessian$/m);
    assert.match(document.getText(), /^# computed {2,}\d{4}-/m);
    const [hint] = await until('hints', async () => {
      const all = await hints(document);
      return all.length > 0 ? all : undefined;
    });
    assert.match(String(hint!.label), /of kept weights|vanishes at the limit/);
    assert.match(await hover(document, 'conv1.weight'), /kept at the limit[^]*curvature \(trace\)/);
    assert.deepEqual(
      (await lenses(layers)).map(({ command }) => command?.title),
      ['Compute Again', 'Show Limit', 'Show Spectrum', 'Prune at Limit…'],
    );
  });

  it('writes into its output what was asked, what it did and what came of it', async () => {
    const text = await until('the output', () => (/digits\.onnx: done: /.test(output()) ? output() : undefined));
    assert.match(text, /analysis of \S+digits\.onnx: Hessian and Gauss–Newton on 256 samples of \S+data \(test\), at/);
    assert.match(text, /digits\.onnx: Hessian$/m);
    assert.match(text, /done: Hessian limit [\d.]+–[\d.]+ %.*; \d+ products in .* on onnxruntime-node 1\.\d+/);
  });

  it('warns of a layer that vanishes at the limit', async () => {
    const weak = model('weak.onnx');
    assert.equal(await compute(weak), 'done');
    const { severity, range, message } = await problem(weak, 'layer-vanishes');
    assert.equal(severity, vscode.DiagnosticSeverity.Warning);
    await standsAt(weak, range, WEAK_LAYER);
    assert.match(message, /vanishes at the limit: all of its 4,608 weights/);
  });

  it('tells of a layer with far more of the curvature than of the weights', async () => {
    // The same function: what the first layer gives less of, the second makes more of. Its curvature grows with the square.
    const steep = model('steep.onnx');
    const scaled = edited(readFileSync(checkpoint.fsPath), (name, values) => {
      const factor = name.startsWith('conv1.') ? 1 / 8 : name === 'conv2.weight' ? 8 : 1;
      values.forEach((value, i) => (values[i] = value * factor));
    });
    writeFileSync(steep.fsPath, scaled);
    assert.equal(await compute(steep), 'done');
    const { severity, range, message } = await problem(steep, 'curvature-share');
    assert.equal(severity, vscode.DiagnosticSeverity.Information);
    await standsAt(steep, range, 'conv1.weight');
    assert.match(message, /carries [\d.]+ % of the curvature with 0\.7 % of the weights/);
  });

  it('that leaves its bracket open offers a deeper run, which is four times as deep', async () => {
    configure({ ...QUICK, steps: 4, tolerance: 1e-5, seed: 3 });
    assert.equal(await compute(), 'done');
    const open = await problem(checkpoint, 'unresolved-bracket');
    assert.match(open.message, /Hessian limit unresolved.*after 4 Lanczos steps/);
    await openLayers();
    const action = await until('the quick fix', async () => {
      const found = await vscode.commands.executeCommand<vscode.CodeAction[]>(
        'vscode.executeCodeActionProvider',
        layers,
        open.range,
      );
      return found.find(({ command }) => command?.command === 'pruningLimit.computeDeeper');
    });
    assert.equal(action.title, 'Run deeper: four times the steps and the time');
    const { command, arguments: given } = action.command!;
    assert.equal(await vscode.commands.executeCommand(command, ...(given as unknown[])), 'done');
    const deeper = () => problems(layers).find(({ message }) => /after 16 Lanczos steps/.test(message));
    await until('what the deeper run found', deeper);
  });

  it('prunes to the limit that was found, where it is told to', async () => {
    const target = model('pruned.onnx');
    configure(QUICK);
    assert.equal(await compute(), 'done');
    assert.equal(await vscode.commands.executeCommand('pruningLimit.prune', checkpoint, target), 'pruned');
    assert.ok(existsSync(target.fsPath));
    rmSync(target.fsPath);
  });

  it('is cancelled within a second', async () => {
    const waits: number[] = [];
    // What else the machine does may cost one of them a second, and hardly three.
    for (let seed = 1; seed <= 3 && !waits.some((wait) => wait < 1000); seed++) {
      configure({ ...SLOW, seed }, { samples: 'all' });
      const ended = compute();
      await until('code lenses of a running analysis', async () =>
        (await lenses(layers)).some(({ command }) => command?.command === 'pruningLimit.cancel') ? true : undefined,
      );
      const begin = performance.now();
      await cancel();
      assert.equal(await ended, 'cancelled');
      waits.push(performance.now() - begin);
      await until('the end of the running analysis', async () =>
        (await lenses(layers)).some(({ command }) => command?.command === 'pruningLimit.cancel') ? undefined : true,
      );
    }
    assert.ok(
      waits.some((wait) => wait < 1000),
      `${waits.join()} ms`,
    );
  });

  it('answers the same question at once, without computing', async () => {
    configure({ ...QUICK, seed: 11 });
    assert.equal(await compute(), 'done');
    const document = await openLayers();
    const stamp = /^# computed .*$/m.exec(document.getText())![0];
    assert.equal(await compute(), 'done');
    assert.equal(/^# computed .*$/m.exec(document.getText())![0], stamp);
    await until('the output', () => (/digits\.onnx: answered from the cache/.test(output()) ? true : undefined));
  });

  it('fails on data that is not there, and works again after that', async () => {
    configure(QUICK, { path: 'nowhere' });
    assert.equal(await compute(), 'failed');
    await until('the output', () =>
      /digits\.onnx: analysis failed: data not found/.test(output()) ? true : undefined,
    );
    configure(QUICK);
    assert.equal(await compute(), 'done');
  });

  it('does not start from an analysis file that is wrong', async () => {
    configure({ ...QUICK, curvature: 'fisher' });
    assert.equal(await compute(), undefined);
    configure(QUICK);
  });
});
