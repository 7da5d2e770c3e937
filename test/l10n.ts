import { readFileSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import ts from 'typescript';

/** Words that go through `t` in the product's sources, each with the places that use it. */
export function usedMessages(root: string): Map<string, string[]> {
  const found = new Map<string, string[]>();
  const add = (text: string, place: string) => found.set(text, [...(found.get(text) ?? []), place]);
  for (const folder of ['client/src', 'server/src', 'protocol', 'media/src']) {
    for (const name of readdirSync(join(root, folder), { recursive: true, encoding: 'utf8' })) {
      if (!name.endsWith('.ts') || name.endsWith('.test.ts') || name.endsWith('.d.ts')) continue;
      const path = join(folder, name);
      const source = ts.createSourceFile(path, readFileSync(join(root, path), 'utf8'), ts.ScriptTarget.Latest, true);
      const visit = (node: ts.Node): void => {
        for (const message of messagesOf(node, path)) {
          const { line } = source.getLineAndCharacterOfPosition(node.getStart());
          add(message, `${path}:${line + 1}`);
        }
        ts.forEachChild(node, visit);
      };
      visit(source);
    }
  }
  return found;
}

/**
 * The argument of `t`, and labels of the tables behind plots, which are
 * translated where they are shown.
 */
function messagesOf(node: ts.Node, path: string): string[] {
  if (ts.isCallExpression(node) && ts.isIdentifier(node.expression) && node.expression.text === 't') {
    const [message] = node.arguments;
    if (message && ts.isStringLiteralLike(message)) return [message.text];
    // A table's label, and nothing else, is not written where it is translated.
    if (message && path === join('media', 'src', 'table.ts')) return [];
    throw new Error(`${path}: t(${message?.getText() ?? ''}) has no text that can be found`);
  }
  if (!path.startsWith(join('media', 'src', 'plots')) || !ts.isPropertyAssignment(node)) return [];
  const isLabel = node.name.getText() === 'label' && ts.isStringLiteralLike(node.initializer);
  const text = isLabel ? (node.initializer as ts.StringLiteralLike).text : '';
  // A number is a tick.
  return /\p{L}/u.test(text) ? [text] : [];
}
