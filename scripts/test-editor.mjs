// The editor tests: the suite inside a real extension host, then the installed
// package driven through its window. Prints a line per test and, last, the
// counts as JSON. A run that leaves no report counts as a failure.
import { build } from 'esbuild';
import { spawn } from 'node:child_process';
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import { buildProduct, root } from './build.mjs';
import { packageExtension } from './package.mjs';
import { installRig } from './vscode-rig.mjs';

/** Each has a workbench of its own. */
const uiSuites = ['limit', 'features'];

/** Bundles what runs in an editor or drives one into `out/test`. */
export async function buildForEditor(entryPoints) {
  await build({
    bundle: true,
    platform: 'node',
    target: 'node20',
    format: 'cjs',
    sourcemap: 'inline',
    logLevel: 'warning',
    absWorkingDir: root,
    external: ['vscode', 'mocha', 'playwright-core', '@vscode/test-electron'],
    outdir: 'out/test',
    outExtension: { '.js': '.cjs' },
    entryPoints,
  });
}

/** Runs Node and returns its lines as they come; they are printed too. */
function run(args, env) {
  return new Promise((resolve) => {
    const child = spawn(process.execPath, args, {
      cwd: root,
      env: { ...process.env, ...env },
      stdio: ['ignore', 'pipe', 'inherit'],
    });
    const lines = [];
    createInterface({ input: child.stdout }).on('line', (line) => {
      lines.push(line);
      console.log(line);
    });
    child.on('close', (code) => resolve({ code, lines }));
  });
}

/** The last line of a host is its counts. */
async function runHost(name, env) {
  const { lines } = await run([join('out', 'test', `${name}.cjs`)], env);
  try {
    const { passed, failed } = JSON.parse(lines.at(-1));
    return { passed, failed };
  } catch {
    console.log(`✖ ${name}: no report`);
    return { passed: 0, failed: 1 };
  }
}

async function runUi(name, env) {
  const { lines } = await run(['--test', '--test-reporter=tap', join('out', 'test', `${name}.ui.cjs`)], env);
  const count = (what) => Number(lines.findLast((line) => line.startsWith(`# ${what} `))?.split(' ')[2] ?? NaN);
  const [passed, failed] = [count('pass'), count('fail') + count('cancelled')];
  return Number.isNaN(passed + failed) || passed + failed === 0 ? { passed: 0, failed: 1 } : { passed, failed };
}

/** Everything about the editor, from a fresh build. */
export async function runEditorTests({ only, ui } = {}) {
  await buildProduct();
  await buildForEditor([
    { in: 'test/extension/index.ts', out: 'suite/index' },
    { in: 'test/extension/code-server.host.ts', out: 'code-server.host' },
    { in: 'test/extension/electron.host.ts', out: 'electron.host' },
    ...uiSuites.map((name) => ({ in: `test/ui/${name}.ui.ts`, out: `${name}.ui` })),
  ]);
  const total = { passed: 0, failed: 0 };
  const add = ({ passed, failed }) => {
    total.passed += passed;
    total.failed += failed;
  };
  if (process.env.VSCODE_EXECUTABLE) add(await runHost('electron.host', {}));
  let rig;
  try {
    rig = installRig();
  } catch (error) {
    // Without the rig, a desktop VS Code must do.
    console.log(error.message);
    if (!process.env.VSCODE_EXECUTABLE) add(await runHost('electron.host', {}));
    return total;
  }
  const env = { PRUNING_LIMIT_RIG_PATHS: JSON.stringify(rig) };
  if (only !== 'ui') add(await runHost('code-server.host', env));
  if (only !== 'host') {
    const vsix = await packageExtension('linux-x64');
    if (!existsSync(vsix)) throw new Error(`package not written: ${vsix}`);
    for (const name of uiSuites.filter((one) => ui === undefined || one === ui))
      add(await runUi(name, { ...env, PRUNING_LIMIT_VSIX: vsix }));
  }
  return total;
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  const option = (name) => process.argv.find((one) => one.startsWith(`--${name}=`))?.slice(name.length + 3);
  const total = await runEditorTests({ only: option('only'), ui: option('ui') });
  console.log(JSON.stringify(total));
  process.exitCode = total.failed > 0 ? 1 : 0;
}
