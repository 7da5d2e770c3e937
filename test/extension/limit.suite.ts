/** The extension inside a real extension host, through the API that VS Code gives to everyone. */
import assert from 'node:assert/strict';
import { existsSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import * as vscode from 'vscode';
import { layersUri } from '../../protocol/layers-uri';

const QUICK = { steps: 24, tolerance: 0.5, minutes: 1, curvature: 'both' };
const SLOW = { steps: 4000, tolerance: 1e-6, minutes: 30 };

const folder = vscode.workspace.workspaceFolders![0]!.uri;
const checkpoint = vscode.Uri.joinPath(folder, 'models', 'digits.onnx');
const layers = vscode.Uri.parse(layersUri(checkpoint.toString()), true);
const analysisFile = join(folder.fsPath, 'pruning-limit.json');

/** The sample's own entry, as the host wrote it. */
const { analyses } = JSON.parse(readFileSync(analysisFile, 'utf8')) as { analyses: [{ data: object }] };

function configure(more: object, data: object = {}): void {
  const entry = { ...analyses[0], ...more, data: { ...analyses[0].data, samples: 256, ...data } };
  writeFileSync(analysisFile, JSON.stringify({ analyses: [entry] }));
}

/** Waits for an event of the editor rather than for time. */
async function until<T>(
  what: string,
  find: () => T | undefined | Thenable<T | undefined>,
  timeout = 30_000,
): Promise<T> {
  const deadline = Date.now() + timeout;
  for (;;) {
    const found = await find();
    if (found !== undefined) return found;
    if (Date.now() > deadline) throw new Error(`waited in vain for ${what}`);
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
}

const compute = () => vscode.commands.executeCommand<string | undefined>('pruningLimit.compute', checkpoint);
const cancel = () => vscode.commands.executeCommand<void>('pruningLimit.cancel', checkpoint);
const running = () => {
  // The panel's tab is opened when the analysis is about to start.
  return vscode.window.tabGroups.all
    .flatMap(({ tabs }) => tabs)
    .find(({ input }) => input instanceof vscode.TabInputWebview && input.viewType.endsWith('pruningLimit.panel'));
};
const warnings = () => vscode.languages.getDiagnostics(layers).filter(({ source }) => source === 'Pruning Limit');
const openLayers = async () => {
  await vscode.commands.executeCommand('pruningLimit.showLayers', checkpoint);
  return until('the layer summary', () => {
    const { document } = vscode.window.activeTextEditor ?? {};
    return document?.uri.toString() === layers.toString() ? document : undefined;
  });
};

describe('extension', () => {
  it('declares exactly the commands it registers', async () => {
    const extension = vscode.extensions.getExtension('pruning-limit.pruning-limit')!;
    await extension.activate();
    const { contributes } = extension.packageJSON as { contributes: { commands: { command: string }[] } };
    const declared = contributes.commands.map(({ command }) => command).sort();
    const registered = (await vscode.commands.getCommands(true)).filter(
      // The view and its container have commands of VS Code's own.
      (name) => name.startsWith('pruningLimit.') && !/^pruningLimit\.runs\./.test(name),
    );
    for (const name of declared) assert.ok(registered.includes(name), name);
    assert.deepEqual(registered.sort(), declared);
  });

  it('has settings with the defaults of the analysis', () => {
    const settings = vscode.workspace.getConfiguration('pruningLimit');
    assert.equal(settings.get('samples'), 2000);
    assert.equal(settings.get('budget.minutes'), 10);
    assert.equal(settings.get('limit.tolerance'), 0.01);
    assert.equal(settings.get('limit.epsilon'), 'batch-std');
  });

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

    it('opens by "Open With…" as well', async () => {
      await vscode.commands.executeCommand('workbench.action.closeAllEditors');
      await vscode.commands.executeCommand('vscode.openWith', checkpoint, 'pruningLimit.layers');
      await until('the layer summary in front', () => {
        const { document } = vscode.window.activeTextEditor ?? {};
        return document?.uri.toString() === layers.toString() ? document : undefined;
      });
      await until('the editor that gave way to go', () =>
        vscode.window.tabGroups.activeTabGroup.tabs.length === 1 ? true : undefined,
      );
    });

    it('offers to compute above its first line', async () => {
      await openLayers();
      const lenses = await until('code lenses', async () => {
        const found = await vscode.commands.executeCommand<vscode.CodeLens[]>('vscode.executeCodeLensProvider', layers);
        return found.length > 0 ? found : undefined;
      });
      assert.deepEqual(
        lenses.map(({ command }) => command?.command),
        ['pruningLimit.compute'],
      );
    });

    it('lists its layers as symbols and says more about one on hover', async () => {
      await openLayers();
      const symbols = await until('symbols', async () => {
        const found = await vscode.commands.executeCommand<vscode.DocumentSymbol[] | undefined>(
          'vscode.executeDocumentSymbolProvider',
          layers,
        );
        return found && found.length > 0 ? found : undefined;
      });
      const { start } = symbols[0]!.selectionRange;
      const hovers = await vscode.commands.executeCommand<vscode.Hover[]>('vscode.executeHoverProvider', layers, start);
      const text = hovers.flatMap(({ contents }) => contents.map((one) => (one as vscode.MarkdownString).value)).join();
      assert.match(text, /zero already/);
      assert.ok(text.includes(symbols[0]!.name));
    });
  });

  describe('analysis', () => {
    it('runs to its end, and the layer summary and the problems have the result', async () => {
      configure(QUICK);
      const document = await openLayers();
      const before = document.version;
      assert.equal(await compute(), 'done');
      assert.ok(running(), 'the panel is open');
      await until('the new text', () => (document.version > before ? true : undefined));
      assert.match(document.getText(), /^# limit {2,}.*%.*Hessian$/m);
      assert.match(document.getText(), /^# computed {2,}\d{4}-/m);
      const found = await until('warnings', () => (warnings().length > 0 ? warnings() : undefined));
      for (const { code, range, severity } of found) {
        assert.ok(range.end.line < document.lineCount);
        if (code === 'layer-vanishes') assert.equal(severity, vscode.DiagnosticSeverity.Warning);
      }
      const everything = new vscode.Range(0, 0, document.lineCount, 0);
      const hints = await until('hints', async () => {
        const all = await vscode.commands.executeCommand<vscode.InlayHint[]>(
          'vscode.executeInlayHintProvider',
          layers,
          everything,
        );
        return all.length > 0 ? all : undefined;
      });
      assert.match(String(hints[0]!.label), /of kept weights|vanishes at the limit/);
    });

    it('prunes to the limit that was found, where it is told to', async () => {
      const target = vscode.Uri.joinPath(folder, 'models', 'pruned.onnx');
      assert.equal(await vscode.commands.executeCommand('pruningLimit.prune', checkpoint, target), 'pruned');
      assert.ok(existsSync(target.fsPath));
      rmSync(target.fsPath);
    });

    it('is cancelled within a second', async () => {
      configure(SLOW, { samples: 'all' });
      const ended = compute();
      await until('code lenses of a running analysis', async () => {
        const lenses = await vscode.commands.executeCommand<vscode.CodeLens[]>(
          'vscode.executeCodeLensProvider',
          layers,
        );
        return lenses.some(({ command }) => command?.command === 'pruningLimit.cancel') ? true : undefined;
      });
      const begin = Date.now();
      await cancel();
      assert.equal(await ended, 'cancelled');
      assert.ok(Date.now() - begin < 1000, `${Date.now() - begin} ms`);
    });

    it('answers the same question at once, without computing', async () => {
      configure({ ...QUICK, seed: 11 });
      assert.equal(await compute(), 'done');
      const document = await openLayers();
      const stamp = /^# computed .*$/m.exec(document.getText())![0];
      assert.equal(await compute(), 'done');
      assert.equal(/^# computed .*$/m.exec(document.getText())![0], stamp);
    });

    it('fails on data that is not there, and works again after that', async () => {
      configure(QUICK, { path: 'nowhere' });
      assert.equal(await compute(), 'failed');
      configure(QUICK);
      assert.equal(await compute(), 'done');
    });

    it('does not start from an analysis file that is wrong', async () => {
      configure({ ...QUICK, curvature: 'fisher' });
      assert.equal(await compute(), undefined);
    });
  });

  describe('analysis file', () => {
    it('is held to its schema and to the disk', async () => {
      const text = '{ "analyses": [{ "checkpoint": "*.onnx", "data": { "path": "nowhere", "splt": "test" } }] }';
      writeFileSync(analysisFile, text);
      const document = await vscode.workspace.openTextDocument(analysisFile);
      await vscode.window.showTextDocument(document);
      const found = (pattern: RegExp) => () =>
        vscode.languages.getDiagnostics(document.uri).find(({ message }) => pattern.test(message));
      const missing = await until('the data', found(/data not found/));
      assert.equal(document.getText(missing.range), '"nowhere"');
      await until('the schema', found(/splt/));
    });

    it('is completed from its schema', async () => {
      const document = await vscode.workspace.openTextDocument(analysisFile);
      const offset = readFileSync(analysisFile, 'utf8').indexOf('"splt"');
      const { items } = await vscode.commands.executeCommand<vscode.CompletionList>(
        'vscode.executeCompletionItemProvider',
        document.uri,
        document.positionAt(offset + 1),
      );
      const labels = items.map(({ label }) => (typeof label === 'string' ? label : label.label));
      for (const name of ['split', 'scale', 'normalize', 'samples']) assert.ok(labels.includes(name), labels.join());
    });
  });

  it('completes what is on the disk in an analysis file', async () => {
    const text = '{ "analyses": [{ "checkpoint": "", "data": { "path": "" } }] }';
    writeFileSync(analysisFile, text);
    const document = await vscode.workspace.openTextDocument(analysisFile);
    await until('the text', () => (document.getText() === text ? true : undefined));
    const labels = async (after: string) => {
      const { items } = await vscode.commands.executeCommand<vscode.CompletionList>(
        'vscode.executeCompletionItemProvider',
        document.uri,
        document.positionAt(text.indexOf(after) + after.length),
      );
      return items.map(({ label }) => (typeof label === 'string' ? label : label.label));
    };
    const checkpoints = await labels('"checkpoint": "');
    assert.ok(checkpoints.includes('models/digits.onnx') && checkpoints.includes('models/*.onnx'), checkpoints.join());
    assert.ok((await labels('"path": "')).includes('data'));
  });

  it('examines the machine, for a report to copy', async () => {
    await vscode.commands.executeCommand('pruningLimit.doctor');
    const document = vscode.window.activeTextEditor!.document;
    assert.equal(document.uri.scheme, 'pruning-limit-doctor');
    assert.match(document.getText(), /^\| cpu +\| works \| onnxruntime-node /m);
    assert.match(document.getText(), /^\| editor +\| .+ 1\.\d+/m);
    assert.match(document.getText(), /^\| engine\.provider +\| auto/m);
    assert.match(document.getText(), /^\| .*runs +\| \d+ runs?, .* \| writable/m);
  });

  it('copies its sample into a folder, and leaves what is there', async () => {
    const place = vscode.Uri.joinPath(folder, 'elsewhere');
    const copy = () => vscode.commands.executeCommand<vscode.Uri>('pruningLimit.openSample', place);
    const sample = await copy();
    const file = vscode.Uri.joinPath(sample, 'pruning-limit.json').fsPath;
    for (const name of ['digits.onnx', 'data/t10k-labels-idx1-ubyte.gz'])
      assert.ok(existsSync(vscode.Uri.joinPath(sample, name).fsPath), name);
    writeFileSync(file, '{}');
    await copy();
    assert.equal(readFileSync(file, 'utf8'), '{}');
    rmSync(place.fsPath, { recursive: true });
  });

  it('keeps results in the storage of the workspace, not in the folder', () => {
    assert.equal(existsSync(join(folder.fsPath, '.vscode')), false);
  });
});
