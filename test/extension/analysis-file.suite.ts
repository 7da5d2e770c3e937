/** `pruning-limit.json` as it is typed. The limit of the sample is known by then. */
import assert from 'node:assert/strict';
import { copyFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import * as vscode from 'vscode';
import { analysisText, completions, folder, hover, lenses, model, openText, problems, QUICK, until } from './window';

const open = (text: string) => openText('pruning-limit.json', text);
/** Our problem of that wording, once it is there. */
const problem = (document: vscode.TextDocument, wording: RegExp) =>
  until(String(wording), () => problems(document.uri).find(({ message }) => wording.test(message)));

describe('analysis file', () => {
  it('is held to its schema and to the disk', async () => {
    const document = await open(
      '{ "analyses": [{ "checkpoint": "models/gone.onnx", "data": { "path": "nowhere", "splt": "test" } }] }',
    );
    assert.equal(document.getText((await problem(document, /^data not found/)).range), '"nowhere"');
    assert.equal(document.getText((await problem(document, /^checkpoint not found/)).range), '"models/gone.onnx"');
    await until('the schema', () =>
      vscode.languages.getDiagnostics(document.uri).find(({ message }) => message.includes('splt')),
    );
    const names = await completions(document, '"s');
    for (const name of ['split', 'scale', 'normalize', 'samples']) assert.ok(names.includes(name), names.join());
  });

  it('completes checkpoints, data, networks and presets', async () => {
    const entry =
      '"checkpoint": "", "architecture": "", "data": { "path": "", "normalize": { "mean": [], "deviation": [] } }';
    const document = await open(`{ "analyses": [{ ${entry} }] }`);
    const proposed = async (after: string, ...expected: string[]) => {
      const labels = await until(after, async () => {
        const found = await completions(document, after);
        return found.includes(expected[0]!) ? found : undefined;
      });
      for (const label of expected) assert.ok(labels.includes(label), `${after}: ${labels.join()}`);
    };
    await proposed('"checkpoint": "', 'models/digits.onnx', 'models/*.onnx', 'models/wrapped.pt');
    await proposed('"architecture": "', 'resnet18', 'vgg16');
    await proposed('"path": "', 'data');
    await proposed('"mean": [', 'MNIST', 'CIFAR-10', 'ImageNet');
    await proposed('"deviation": [', 'MNIST');
  });

  it('says on hover what its values stand for', async () => {
    const document = await open(analysisText({ checkpoint: 'models/digits.onnx', targetSparsity: 0.5 }));
    assert.match(
      await hover(document, '"models/digits.onnx"'),
      /ONNX, 10,248 prunable weights, input .*, limit [\d.]+/,
    );
    assert.match(await hover(document, '"data"'), /Where the samples are/, 'of a property its schema');
    const data = await hover(document, '"data",');
    assert.match(data, /idx: 2,000 samples of 1×16×16, 10 classes/, 'of the value of "path"');
    assert.match(await hover(document, '0.5'), /below every limit \(Hessian .*; Gauss–Newton .*\)/);
  });

  it('is held against the input of the network and its classes', async () => {
    const other = (data: object) => open(analysisText({ checkpoint: 'models/digits.onnx' }, data));
    const three = { mean: [0, 0, 0], deviation: [1, 1, 1] };
    await problem(await other({ normalize: three }), /have 3 numbers, but the input of digits\.onnx is \S+×1×16×16/);
    writeFileSync(join(folder.fsPath, 'table.csv'), 'a,b,label\n1,2,0\n3,4,1\n');
    const table = { path: 'table.csv', scale: 1, normalize: undefined };
    const { range } = await problem(await other(table), /^digits\.onnx: data do not fit the network: samples \[2\]/);
    assert.equal(vscode.window.activeTextEditor!.document.getText(range), '"table.csv"');
    const row = (label: number) => [...Array<number>(256).fill(0), label].join();
    const head = [...Array(256).keys(), 'label'].join();
    writeFileSync(join(folder.fsPath, 'wide.csv'), `${head}\n${row(0)}\n${row(12)}\n`);
    const wide = { path: 'wide.csv', scale: 1, normalize: undefined };
    await problem(await other(wide), /label outside the network's classes: 12/);
  });

  it('has a target held against the limits, with their numbers', async () => {
    const target = async (targetSparsity: number) => {
      const document = await open(analysisText({ checkpoint: 'models/digits.onnx', ...QUICK, targetSparsity }));
      return { document, text: String(targetSparsity) };
    };
    // The bracket of a quick run is a point or two wide.
    const [hessian, ggn] = await knownLimits();
    const cases: [number, vscode.DiagnosticSeverity, RegExp][] = [
      [middle(ggn![1], 1), vscode.DiagnosticSeverity.Error, /above the Gauss–Newton limit, [\d.]+–[\d.]+ %: .*lower/],
      [middle(...hessian!), vscode.DiagnosticSeverity.Information, /inside the bracket of the Hessian limit, [\d.]+–/],
    ];
    if (ggn![1] > hessian![1] + 0.001)
      cases.push([
        middle(hessian![1], ggn![1]),
        vscode.DiagnosticSeverity.Warning,
        /above the Hessian limit, .*retrain/,
      ]);
    for (const [value, severity, wording] of cases) {
      const { document, text } = await target(value);
      const found = await problem(document, wording);
      assert.equal(found.severity, severity, found.message);
      assert.equal(document.getText(found.range), text);
    }
    const { document } = await target(0.1);
    await until('no problem', () => (problems(document.uri).length === 0 ? true : undefined));
  });

  it('computes from a lens above an entry', async () => {
    copyFileSync(model('digits.onnx').fsPath, model('lens.onnx').fsPath);
    const document = await open(analysisText({ checkpoint: 'models/lens.onnx', ...QUICK }));
    const lens = await until('the lens', async () =>
      (await lenses(document.uri)).find(({ command }) => command?.title === 'Compute Pruning Limit of lens.onnx'),
    );
    assert.match(document.lineAt(lens.range.start.line).text, /^\s*\{/);
    const { command, arguments: given } = lens.command!;
    // The same content was analysed under another name, with the same options: answered at once.
    assert.equal(await vscode.commands.executeCommand(command, ...(given as unknown[])), 'done');
  });
});

const middle = (a: number, b: number) => Math.round(((a + b) / 2) * 1e5) / 1e5;

/** Intervals of both limits, as the hover tells them. */
async function knownLimits(): Promise<[number, number][]> {
  const document = await open(analysisText({ checkpoint: 'models/digits.onnx', targetSparsity: 0.5 }));
  const text = await hover(document, '0.5');
  return [...text.matchAll(/([\d.]+)(?:–| and )([\d.]+) %/g)].map(([, low, high]) => [
    Number(low) / 100,
    Number(high) / 100,
  ]);
}
