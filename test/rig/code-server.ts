import { execFileSync, spawn, type ChildProcess } from 'node:child_process';
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

/** Where `scripts/vscode-rig.mjs` put things; `scripts/test-editor.mjs` passes it on. */
export interface RigPaths {
  readonly node: string;
  readonly codeServer: string;
  readonly chromium: string;
}

export function rigPaths(): RigPaths {
  const paths = process.env['PRUNING_LIMIT_RIG_PATHS'];
  if (!paths) throw new Error('test rig: not set up; run the editor tests with node scripts/test-editor.mjs');
  return JSON.parse(paths) as RigPaths;
}

export interface CodeServerOptions {
  /** Packages to install first. */
  readonly extensions?: readonly string[];
  /** More of the server's own options. */
  readonly flags?: readonly string[];
  readonly settings?: Readonly<Record<string, unknown>>;
  /** Settings of the machine that the server runs on: the user's do not count for what is about that. */
  readonly machine?: Readonly<Record<string, unknown>>;
  readonly env?: Readonly<Record<string, string>>;
}

/** What would come between a test and the editor. */
const SETTINGS = {
  'workbench.startupEditor': 'none',
  'workbench.editor.useModal': 'off',
  'workbench.secondarySideBar.defaultVisibility': 'hidden',
  'workbench.tips.enabled': false,
  'workbench.enableExperiments': false,
  'chat.disableAIFeatures': true,
  'telemetry.telemetryLevel': 'off',
  'extensions.autoUpdate': false,
  'extensions.autoCheckUpdates': false,
  'extensions.ignoreRecommendations': true,
  'security.workspace.trust.banner': 'never',
  'git.enabled': false,
  'npm.fetchOnlinePackageInfo': false,
  'json.schemaDownload.enable': false,
  'window.dialogStyle': 'custom',
  'files.simpleDialog.enable': true,
  // In a browser it is on, and may write after a test has.
  'files.autoSave': 'off',
  'remote.autoForwardPorts': false,
};

/** A whole VS Code with a profile of its own, behind a port of this machine. */
export class CodeServer {
  private constructor(
    readonly url: string,
    readonly home: string,
    private readonly child: ChildProcess,
  ) {}

  static async start(options: CodeServerOptions = {}): Promise<CodeServer> {
    const rig = rigPaths();
    const home = mkdtempSync(join(tmpdir(), 'pruning-limit-vscode-'));
    const [data, extensions] = [join(home, 'data'), join(home, 'extensions')];
    mkdirSync(join(data, 'User'), { recursive: true });
    mkdirSync(extensions);
    writeFileSync(join(data, 'User', 'settings.json'), JSON.stringify({ ...SETTINGS, ...options.settings }));
    mkdirSync(join(data, 'Machine'));
    writeFileSync(join(data, 'Machine', 'settings.json'), JSON.stringify(options.machine ?? {}));
    writeFileSync(join(home, 'config.yaml'), '');
    const env = { ...environment(home), ...options.env };
    const folders = ['--config', join(home, 'config.yaml'), '--user-data-dir', data, '--extensions-dir', extensions];
    for (const extension of options.extensions ?? []) {
      execFileSync(rig.node, [rig.codeServer, ...folders, '--install-extension', extension], { env, stdio: 'pipe' });
    }
    const port = await freePort();
    const child = spawn(
      rig.node,
      [
        rig.codeServer,
        ...folders,
        '--bind-addr',
        `127.0.0.1:${port}`,
        '--auth',
        'none',
        '--disable-telemetry',
        '--disable-update-check',
        '--disable-getting-started-override',
        ...(options.flags ?? []),
      ],
      // A group of its own, so that everything it starts can be ended with it.
      { env, detached: true, stdio: ['ignore', 'pipe', 'pipe'] },
    );
    let output = '';
    for (const stream of [child.stdout, child.stderr]) {
      stream.setEncoding('utf8').on('data', (text: string) => (output = (output + text).slice(-8000)));
    }
    const server = new CodeServer(`http://127.0.0.1:${port}`, home, child);
    const deadline = Date.now() + 60_000;
    while (!(await isHealthy(server.url))) {
      if (child.exitCode !== null || Date.now() > deadline) {
        server.stop();
        throw new Error(`code-server did not start:\n${output}`);
      }
      await new Promise((resolve) => setTimeout(resolve, 100));
    }
    return server;
  }

  /** Ends everything it started and removes its profile. */
  stop(): void {
    try {
      process.kill(-this.child.pid!, 'SIGKILL');
    } catch {
      // It ended by itself.
    }
    rmSync(this.home, { recursive: true, force: true, maxRetries: 10, retryDelay: 100 });
  }
}

/** Of this process's environment what is not about this process's editor, Node or proxy. */
function environment(home: string): Record<string, string> {
  const foreign = /^(VSCODE_|npm_|CODE_SERVER|PORT$|PASSWORD$|HASHED_PASSWORD$|NODE_OPTIONS$|PRUNING_LIMIT_)/i;
  const kept = Object.entries(process.env).filter(([name, value]) => value !== undefined && !foreign.test(name));
  return {
    ...(Object.fromEntries(kept) as Record<string, string>),
    HOME: home,
    XDG_CONFIG_HOME: join(home, '.config'),
    XDG_DATA_HOME: join(home, '.local'),
    XDG_CACHE_HOME: join(home, '.cache'),
  };
}

async function isHealthy(url: string): Promise<boolean> {
  try {
    return (await fetch(`${url}/healthz`)).ok;
  } catch {
    return false;
  }
}

function freePort(): Promise<number> {
  return new Promise((resolve, reject) => {
    const server = createServer();
    server.once('error', reject);
    server.listen(0, '127.0.0.1', () => {
      const address = server.address();
      server.close(() =>
        typeof address === 'object' && address ? resolve(address.port) : reject(new Error('no port')),
      );
    });
  });
}
