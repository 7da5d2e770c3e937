import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, it, type TestContext } from 'node:test';
import { COMMAND, computeProcesses, isRunning, start, until, withoutProc, type Started } from './command';
import { tinyData, tinyModel, tinySubject } from './subject';

/** Enough samples and steps that the analysis does not end by itself. */
const ENDLESS = ['analyze', 'net.onnx', '--data', 'data', '--tolerance', '0.000001', '--threads', '1', '--json'];

function endlessSubject(t: TestContext): string {
  const data = Object.entries(tinyData({ count: 600, size: 16 })).map(([name, bytes]) => [`data/${name}`, bytes]);
  return tinySubject(t, { 'net.onnx': tinyModel({ hidden: 16, size: 16 }), ...Object.fromEntries(data) });
}

/** Starts an analysis and waits until its compute process is at work. */
async function analysing(t: TestContext, cwd: string, ...options: string[]): Promise<{ run: Started; pid: number }> {
  const run = start([...ENDLESS, ...options], { cwd });
  t.after(() => run.process.kill('SIGKILL'));
  await until(() => run.stderr().includes('Gauss–Newton'), 'the first product');
  const [pid, ...more] = computeProcesses(run.process.pid!);
  assert.ok(pid !== undefined && more.length === 0, 'one compute process');
  return { run, pid };
}

describe('interrupts', { skip: withoutProc() }, () => {
  for (const [signal, status] of [
    ['SIGINT', 130],
    ['SIGTERM', 143],
  ] as const) {
    it(`${signal} ends the analysis within a second and leaves nothing running`, async (t) => {
      const cwd = endlessSubject(t);
      const { run, pid } = await analysing(t, cwd, '--report', 'out.html');
      const before = performance.now();
      run.process.kill(signal);
      const finished = await run.finished;
      const seconds = (performance.now() - before) / 1000;
      assert.equal(finished.status, status);
      assert.ok(seconds < 1, `${seconds} s`);
      assert.equal(finished.stdout, '');
      assert.doesNotMatch(finished.stderr, /pruning-limit: /);
      await until(() => !isRunning(pid), 'end of the compute process', 1);
      assert.ok(!existsSync(join(cwd, 'out.html')), 'no report');
    });
  }

  it('a compute process that is killed is one sentence and status 1', async (t) => {
    const { run, pid } = await analysing(t, endlessSubject(t));
    process.kill(pid, 'SIGKILL');
    const { status, stdout, stderr } = await run.finished;
    assert.deepEqual([status, stdout], [1, '']);
    assert.equal(
      stderr.split('\n').at(-2),
      'pruning-limit: compute process was ended (signal SIGKILL), most likely because memory ran out; lower --samples or --batch, close what else needs memory, or have the analysis stop by itself before that with --memory',
    );
  });

  it('a compute process that crashes is one sentence and status 1', async (t) => {
    const { run, pid } = await analysing(t, endlessSubject(t));
    process.kill(pid, 'SIGSEGV');
    const { status, stdout, stderr } = await run.finished;
    assert.deepEqual([status, stdout], [1, '']);
    assert.equal(
      stderr.split('\n').at(-2),
      'pruning-limit: compute process ended unexpectedly (signal SIGSEGV); compute again, and report it if it happens again',
    );
  });

  it('a command that is killed outright takes its compute process with it', async (t) => {
    const { run, pid } = await analysing(t, endlessSubject(t));
    run.process.kill('SIGKILL');
    assert.equal((await run.finished).signal, 'SIGKILL');
    await until(() => !isRunning(pid), 'end of the compute process', 10);
  });
});

/** util-linux's `script` gives a command a terminal of its own. */
function withoutTerminal(): string | false {
  const { stdout, error } = spawnSync('script', ['--version'], { encoding: 'utf8' });
  return error === undefined && stdout.includes('util-linux') ? false : 'needs script of util-linux';
}

describe('on a terminal', { skip: withoutTerminal() }, () => {
  const quote = (word: string): string => `'${word.replaceAll("'", `'\\''`)}'`;
  /** Runs the command with standard error on a terminal of `columns`, and standard output in out.txt. */
  function onTerminal(t: TestContext, cwd: string, columns: number, args: readonly string[]): Started {
    const command = [process.execPath, COMMAND, ...args].map(quote).join(' ');
    const script = ['-qec', `stty cols ${columns}; ${command} > out.txt`, '/dev/null'];
    const run = start(script, { cwd, env: { ...process.env, SHELL: '/bin/sh' } }, ['script']);
    t.after(() => run.process.kill('SIGKILL'));
    return run;
  }

  it('progress is one line with a bar, redrawn, and gone at the end', async (t) => {
    const cwd = tinySubject(t);
    const args = ['analyze', 'net.onnx', '--data', 'data', '--steps', '12', '--threads', '1', '--json'];
    const { status, stdout } = await onTerminal(t, cwd, 70, args).finished;
    assert.equal(status, 0, stdout);
    assert.ok(!stdout.includes('\n'), 'one line');
    assert.match(stdout, /\r\x1b\[K[█░]{8,24} +\d+ % {2}\d+ s/);
    assert.ok(stdout.endsWith('\r\x1b[K'), 'nothing is left of it');
    for (const drawn of stdout.split('\r\x1b[K')) assert.ok([...drawn].length < 70, drawn);
    JSON.parse(readFileSync(join(cwd, 'out.txt'), 'utf8'));
  });

  it('Ctrl-C, which reaches every process there, is an interrupt and no failure', async (t) => {
    const cwd = endlessSubject(t);
    const command = [process.execPath, COMMAND, ...ENDLESS].map(quote).join(' ');
    // `script` takes keys from its standard input, which therefore stays open.
    const shell = `(until [ -e go ]; do sleep 0.05; done; printf '\\003'; sleep 1) | script -qec ${quote(`${command} > out.txt`)} /dev/null; echo "status $?"`;
    const run = start(['-c', `${shell}`], { cwd }, ['/bin/sh']);
    t.after(() => run.process.kill('SIGKILL'));
    let seen = '';
    run.process.stdout.on('data', (text: string) => (seen += text));
    await until(() => seen.includes('Gauss–Newton'), 'the first product');
    spawnSync('touch', ['go'], { cwd });
    const { stdout } = await run.finished;
    assert.match(stdout, /status 130\s*$/);
    assert.doesNotMatch(stdout, /pruning-limit: /);
    assert.equal(readFileSync(join(cwd, 'out.txt'), 'utf8'), '');
  });
});
