import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, it } from 'node:test';
import { usedMessages } from './l10n';
import { projectRoot } from './outside';

const root = projectRoot();
const read = (name: string) => JSON.parse(readFileSync(join(root, name), 'utf8')) as Record<string, string>;
const placeholders = (text: string) => [...new Set(text.match(/\{\d+\}/g))].sort();
/** What a link leads to is the same in every language. */
const commands = (text: string) => text.match(/\(command:[\w.]+\)/g) ?? [];

describe('German', () => {
  it('has every message of the sources and no other', () => {
    const used = usedMessages(root);
    const bundle = read('l10n/bundle.l10n.de.json');
    const missing = [...used].filter(([text]) => !(text in bundle)).map(([text, places]) => `${places[0]}: ${text}`);
    assert.deepEqual(missing, [], 'not translated');
    assert.deepEqual(
      Object.keys(bundle).filter((text) => !used.has(text)),
      [],
      'not used',
    );
    assert.ok(used.size > 200, `${used.size} messages found`);
  });

  it('says whatever a message leaves to be filled in', () => {
    for (const [english, german] of Object.entries(read('l10n/bundle.l10n.de.json'))) {
      assert.deepEqual(placeholders(german), placeholders(english), english);
      assert.notEqual(german.trim(), '', english);
    }
  });

  it('has every text of the manifest and no other', () => {
    const manifest = readFileSync(join(root, 'package.json'), 'utf8');
    const keys = new Set([...manifest.matchAll(/"%([\w.]+)%"/g)].map(([, key]) => key!));
    const [english, german] = [read('package.nls.json'), read('package.nls.de.json')];
    assert.deepEqual(Object.keys(english).sort(), [...keys].sort());
    assert.deepEqual(Object.keys(german).sort(), [...keys].sort());
    for (const key of keys) assert.deepEqual(commands(german[key]!), commands(english[key]!), key);
  });

  it('leaves no text of the manifest untranslated', () => {
    const { contributes } = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8')) as { contributes: unknown };
    const found: string[] = [];
    const visit = (value: unknown, name: string): void => {
      if (typeof value === 'string') {
        const isText = /^(title|description|markdownDescription|contents|displayName|altText)$/.test(name);
        // The product's name is the same everywhere.
        if (isText && !/^%.*%$/.test(value) && value !== 'Pruning Limit') found.push(value);
      } else if (typeof value === 'object' && value !== null) {
        for (const [key, item] of Object.entries(value)) visit(item, Array.isArray(value) ? name : key);
      }
    };
    visit(contributes, '');
    assert.deepEqual(found, []);
  });
});
