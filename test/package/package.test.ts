/** Packages as they are installed: unpacked where no other module is near, and run. */
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { after, before, describe, it } from 'node:test';
import { pathToFileURL } from 'node:url';
import { withZip } from '../../server/src/files/zip';
import { projectRoot } from '../outside';

const root = projectRoot();

/** The one without a binary of onnxruntime, which runs on every platform; the editor tests install this machine's. */
const target = 'darwin-x64';
describe(`package for ${target}`, () => {
  let folder: string;
  let names: string[];
  before(async () => {
    folder = mkdtempSync(join(tmpdir(), 'pruning-limit-package-'));
    const script = pathToFileURL(join(root, 'scripts/package.mjs')).href;
    // In a process of its own: what writes packages talks.
    const make = `const { packageExtension } = await import(${JSON.stringify(script)});
        console.log('\\n' + (await packageExtension(${JSON.stringify(target)})));`;
    const output = execFileSync(process.execPath, ['--input-type=module', '-e', make], { cwd: root });
    names = await unpack(output.toString().trim().split('\n').at(-1)!, folder);
  });
  after(() => rmSync(folder, { recursive: true, force: true }));

  const command = (...args: string[]) =>
    JSON.parse(
      execFileSync(process.execPath, ['extension/dist/cli.js', ...args, '--json'], {
        cwd: folder,
        stdio: ['ignore', 'pipe', 'pipe'],
      }).toString(),
    ) as Record<string, unknown>;

  it('analyses its own sample', () => {
    const [checkpoint, data] = ['digits.onnx', 'data'].map((name) => join(folder, 'extension/samples', name));
    const quick = ['--scale', '255', '--samples', '32', '--steps', '0'];
    const result = command('analyze', checkpoint!, '--data', data!, ...quick);
    const used = result['engine'] as { name: string; provider: string; reason: string };
    assert.equal(used.name, 'onnxruntime-web');
    assert.equal(used.provider, 'wasm');
    assert.match(used.reason, /^WebAssembly/);
  });

  it('opens what needs a library of its own', () => {
    const keras = command('inspect', join(root, 'test/checkpoints/files/sequential.keras'));
    assert.ok((keras['layers'] as unknown[]).length > 0);
  });

  it('gives the licences of what is bundled along', () => {
    const notices = readFileSync(join(folder, 'extension/dist/THIRD-PARTY-NOTICES.txt'), 'utf8');
    const parts = notices.split('='.repeat(72)).map((part) => part.trim());
    for (const [name, words] of [
      ['vscode-languageclient', 'Permission is hereby granted'],
      ['protobufjs', 'Redistribution and use in source and binary forms'],
      ['h5wasm', 'The HDF Group'],
      ['@cwasm/jpeg-turbo', 'the work of the Independent JPEG Group'],
      ['@vscode/l10n', 'Permission is hereby granted'],
      ['d3-scale', 'Permission to use, copy, modify'],
    ] as const) {
      const [header, ...own] = parts.find((part) => part.startsWith(`${name} `))!.split('\n');
      assert.match(header!, /^\S+ \d+\.\d+\.\d+ \(.+\)$/);
      assert.ok(own.join(' ').includes(words), name);
    }
    for (const part of parts) assert.ok(part.length > 500, part.slice(0, 80));
  });

  it('holds one runtime and no sources', () => {
    const runtimes = new Set(
      names.flatMap((name) => /node_modules\/(onnxruntime-(?:node|web))\//.exec(name)?.[1] ?? []),
    );
    assert.deepEqual([...runtimes], ['onnxruntime-web']);
    assert.deepEqual(
      names.filter((name) => /\.(ts|map)$/.test(name)),
      [],
    );
  });
});

async function unpack(archive: string, folder: string): Promise<string[]> {
  return withZip(archive, async ({ entries, source }) => {
    for (const entry of entries) {
      const bytes = new Uint8Array(entry.size);
      const reader = await source(entry);
      await reader.read(bytes);
      await reader.close();
      const path = join(folder, decodeURIComponent(entry.name));
      mkdirSync(dirname(path), { recursive: true });
      writeFileSync(path, bytes);
    }
    return entries.map(({ name }) => name);
  });
}
