import { existsSync } from 'node:fs';
import { createRequire } from 'node:module';
import { dirname, join } from 'node:path';
import { Language, Parser, type Tree } from '@vscode/tree-sitter-wasm';

/** Python's grammar, loaded when it is first needed. */
let parser: Promise<Parser> | undefined;

/** The syntax tree of Python source, however broken; to be deleted by the caller. */
export async function parsePython(source: string): Promise<Tree> {
  parser ??= load();
  return (await parser).parse(source)!;
}

async function load(): Promise<Parser> {
  const folder = wasmFolder();
  await Parser.init({ locateFile: (file) => join(folder, file) });
  const loaded = new Parser();
  loaded.setLanguage(await Language.load(join(folder, 'tree-sitter-python.wasm')));
  return loaded;
}

/** Beside the bundle where there is one, else in the package. */
function wasmFolder(): string {
  const beside = join(__dirname, 'wasm');
  return existsSync(beside) ? beside : dirname(createRequire(__filename).resolve('@vscode/tree-sitter-wasm'));
}
