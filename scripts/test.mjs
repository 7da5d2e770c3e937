// npm test [PART …]: installs what is missing, builds, checks, and runs every test,
// or those files alone whose paths contain a PART.
// Ends with a line "N passed, N failed" (and how many were skipped).
import { setUp, runOrFail, root } from './setup.mjs';

setUp();
const { buildProduct, buildTests } = await import('./build.mjs');
await buildProduct();
const files = await buildTests();

const filter = process.argv.slice(2).filter((argument) => !argument.startsWith('--'));

// Whoever asks for some files wants to know about those, soon.
if (filter.length === 0) {
  heading('Types, lint, format');
  const tool = (path, ...args) => runOrFail(process.execPath, [`node_modules/${path}`, ...args]);
  tool('typescript/bin/tsc', '--noEmit');
  tool('typescript/bin/tsc', '--noEmit', '-p', 'media');
  tool('eslint/bin/eslint.js', '.');
  tool('prettier/bin/prettier.cjs', '--check', '--log-level=warn', '.');
}

const { runUnitTests } = await import('./unit-tests.mjs');
const totals = { passed: 0, failed: 0, skipped: 0 };
const add = (result) => Object.keys(totals).forEach((key) => (totals[key] += result[key] ?? 0));

heading('Unit and integration tests');
const chosen = filter.length === 0 ? files : files.filter((file) => filter.some((part) => file.includes(part)));
add(await runUnitTests(chosen, root));

if (filter.length === 0) {
  heading('Editor tests');
  const { runEditorTests } = await import('./test-editor.mjs');
  add(await runEditorTests());
}

console.log(
  `\n${totals.passed} passed, ${totals.failed} failed${totals.skipped > 0 ? `, ${totals.skipped} skipped` : ''}`,
);
process.exit(totals.failed > 0 || totals.passed === 0 ? 1 : 0);

function heading(text) {
  console.log(`\n── ${text}`);
}
