/** What the extension says of itself, and keeps to. */
import assert from 'node:assert/strict';
import { existsSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import * as vscode from 'vscode';
import { checkpoint, folder, model, openLayers, until } from './window';

interface Manifest {
  readonly extensionKind: readonly string[];
  readonly capabilities: {
    readonly untrustedWorkspaces: { readonly supported: unknown; readonly restrictedConfigurations: readonly string[] };
    readonly virtualWorkspaces: { readonly supported: unknown };
  };
  readonly contributes: {
    readonly commands: readonly { readonly command: string; readonly title: string; readonly enablement?: string }[];
    readonly configuration: { readonly properties: Readonly<Record<string, { readonly scope: string }>> };
    readonly walkthroughs: readonly { readonly steps: readonly { readonly media: { readonly svg: string } }[] }[];
  };
}

const extension = vscode.extensions.getExtension('pruning-limit.pruning-limit')!;
const manifest = extension.packageJSON as Manifest;

describe('extension', () => {
  before(async () => {
    await extension.activate();
  });

  it('declares exactly the commands it registers', async () => {
    const declared = manifest.contributes.commands.map(({ command }) => command).sort();
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

  it('runs where the files are', () => {
    assert.deepEqual(manifest.extensionKind, ['workspace']);
    assert.equal(extension.extensionKind, vscode.ExtensionKind.Workspace);
    assert.equal(extension.extensionUri.scheme, 'file');
  });

  it('runs models, and takes settings about it, in trusted folders only', () => {
    const { untrustedWorkspaces } = manifest.capabilities;
    assert.equal(untrustedWorkspaces.supported, 'limited');
    const { properties } = manifest.contributes.configuration;
    const ofMachine = Object.keys(properties).filter((name) => properties[name]!.scope === 'machine-overridable');
    assert.deepEqual([...untrustedWorkspaces.restrictedConfigurations].sort(), ofMachine.sort());
    for (const name of ['compute', 'computeDeeper', 'prune', 'installTensorFlow']) {
      const { enablement } = manifest.contributes.commands.find(({ command }) => command === `pruningLimit.${name}`)!;
      assert.equal(enablement, 'isWorkspaceTrusted', name);
    }
  });

  it('has its words in the language of the editor', () => {
    assert.ok(manifest.contributes.commands.every(({ title }) => !title.startsWith('%')));
    for (const { steps } of manifest.contributes.walkthroughs)
      for (const { media } of steps) assert.ok(existsSync(join(extension.extensionPath, media.svg)), media.svg);
  });

  it('reads no file that is not on a disk, and says so', async () => {
    assert.equal(manifest.capabilities.virtualWorkspaces.supported, false);
    const uri = vscode.Uri.parse('memfs:/models/digits.onnx');
    const bytes = readFileSync(checkpoint.fsPath);
    const nothing = new vscode.EventEmitter<vscode.FileChangeEvent[]>();
    const refuse = (): never => {
      throw vscode.FileSystemError.NoPermissions();
    };
    const registration = vscode.workspace.registerFileSystemProvider('memfs', {
      onDidChangeFile: nothing.event,
      watch: () => nothing,
      stat: () => ({ type: vscode.FileType.File, ctime: 0, mtime: 0, size: bytes.length }),
      readFile: () => bytes,
      readDirectory: () => [],
      createDirectory: refuse,
      writeFile: refuse,
      delete: refuse,
      rename: refuse,
    });
    try {
      await vscode.commands.executeCommand('workbench.action.closeAllEditors');
      assert.equal(await vscode.commands.executeCommand('pruningLimit.compute', uri), undefined);
      await vscode.commands.executeCommand('pruningLimit.showLayers', uri);
      await vscode.commands.executeCommand('pruningLimit.showPanel', uri);
      await vscode.commands.executeCommand('vscode.openWith', uri, 'pruningLimit.layers');
      await until('the editor that gave way to go', () =>
        vscode.window.tabGroups.all.every(({ tabs }) => tabs.length === 0) ? true : undefined,
      );
    } finally {
      registration.dispose();
      await vscode.commands.executeCommand('notifications.clearAll');
    }
  });

  it('examines the machine, for a report to copy', async () => {
    await vscode.commands.executeCommand('pruningLimit.doctor');
    const document = vscode.window.activeTextEditor!.document;
    assert.equal(document.uri.scheme, 'pruning-limit-doctor');
    assert.match(document.getText(), /^\| cpu +\| works \| onnxruntime-node /m);
    assert.match(document.getText(), /^\| editor +\| .+ 1\.\d+/m);
    assert.match(document.getText(), /^\| engine\.provider +\| auto/m);
    assert.match(document.getText(), /^\| .*runs +\| \d+ runs?, .* \| writable/m);
    await vscode.commands.executeCommand('pruningLimit.copyDoctor');
    assert.equal(await vscode.env.clipboard.readText(), document.getText());
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

  it('tells in its output what was said to the server, when that is asked for', async () => {
    const settings = vscode.workspace.getConfiguration('pruningLimit');
    await settings.update('trace.server', 'verbose', vscode.ConfigurationTarget.Global);
    try {
      await openLayers(model('weak.onnx'));
      await until('the trace', () => (/Sending request '.*layers/i.test(output()) ? true : undefined));
    } finally {
      await settings.update('trace.server', undefined, vscode.ConfigurationTarget.Global);
    }
  });
});

/** What the output channel holds. It is a document once it was shown. */
export function output(): string {
  void vscode.commands.executeCommand('pruningLimit.showOutput');
  const document = vscode.workspace.textDocuments.find(
    ({ uri }) => uri.scheme === 'output' && uri.path.includes('Pruning Limit'),
  );
  return document?.getText() ?? '';
}
