// The licences of what is bundled: most ask to be given along.
import { readFileSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import { licences } from './licences.mjs';

/** Packages that the bundles are made of: every folder below node_modules that an input of one is in. */
export function packagesOf(metafiles) {
  const inputs = metafiles.flatMap(({ inputs }) => Object.keys(inputs));
  return inputs.flatMap((input) => input.match(/^.*node_modules\/(?:@[^/]+\/)?[^/]+/)?.[0] ?? []);
}

/** Name, version and licence of every package, each once; no package goes without. */
export function notices(root, packages) {
  const texts = [...new Set(packages)].sort().map((path) => {
    const { name, version, license } = JSON.parse(readFileSync(join(root, path, 'package.json'), 'utf8'));
    const files = readdirSync(join(root, path)).filter((file) => /^(licen[cs]e|copying|notice)/i.test(file));
    const own = files.map((file) => readFileSync(join(root, path, file), 'utf8').trim());
    if (own.length === 0 && licences[name] === undefined)
      throw new Error(`${path}: no licence; add one to licences.mjs`);
    return [`${name} ${version} (${license})`, ...(own.length > 0 ? own : [licences[name]])].join('\n\n');
  });
  return `${texts.join(`\n\n${'='.repeat(72)}\n\n`)}\n`;
}
