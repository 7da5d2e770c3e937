import assert from 'node:assert/strict';
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, it, type TestContext } from 'node:test';
import type { AnalysisRequest } from '../../../protocol/analysis';
import type { FromCompute } from '../../../protocol/messages';
import type { PruneRequest } from '../../../protocol/prune';
import { temporaryFolder } from '../../../test/files';
import { allocation, ComputeProcess, computeEnvironment, exitMessage } from './compute-process';

interface Told {
  readonly events: FromCompute[];
  readonly log: string[];
  readonly failure: string | null;
}

/** Runs `script` as a compute process; `onEvent` sees its events. */
function told(
  t: TestContext,
  script: string,
  onEvent: (compute: ComputeProcess, event: FromCompute) => void = () => undefined,
): Promise<Told> {
  const entry = join(temporaryFolder(t, { 'compute.cjs': script }), 'compute.cjs');
  return new Promise((resolve) => {
    const events: FromCompute[] = [];
    const log: string[] = [];
    const compute = new ComputeProcess(
      entry,
      { kind: 'analyze', request: { checkpoint: 'x' } as AnalysisRequest },
      {
        event: (event) => {
          events.push(event);
          onEvent(compute, event);
        },
        log: (line) => log.push(line),
        gone: (failure) => resolve({ events, log, failure }),
      },
    );
  });
}

const send = (event: string): string =>
  `process.once('message', (m) => process.send(${event}, () => process.disconnect()));`;

describe('compute process', () => {
  it('is sent the request, and its answer arrives before its end', async (t) => {
    const { events, failure } = await told(t, send(`{ kind: 'done', result: m }`));
    assert.deepEqual(events, [{ kind: 'done', result: { kind: 'analyze', request: { checkpoint: 'x' } } }]);
    assert.equal(failure, null);
  });

  it('carries arrays as bytes, not-a-number included', async (t) => {
    const { events } = await told(t, send(`{ kind: 'done', result: new Float32Array([1, NaN]) }`));
    assert.deepEqual(events, [{ kind: 'done', result: Float32Array.of(1, NaN) }]);
  });

  it('is gone with a reason when it ends without an answer', async (t) => {
    const { failure, log } = await told(
      t,
      `console.error('first\\nlast words'); process.exitCode = 3; process.disconnect();`,
    );
    assert.equal(
      failure,
      'compute process ended unexpectedly (exit status 3), its last words were "last words"; compute again, and report it if it happens again',
    );
    assert.deepEqual(log, ['first', 'last words']);
  });

  it('is killed whatever it is busy with', async (t) => {
    const script = `process.once('message', () => process.send({ kind: 'progress' }, () => { for (;;); }));`;
    const { events, failure } = await told(t, script, (compute) => {
      assert.ok(compute.pid! > 0);
      compute.kill();
    });
    assert.equal(events.length, 1);
    assert.match(failure!, /^compute process was ended \(signal SIGKILL\), most likely because memory ran out; /);
  });

  it('says that memory ran out when the heap did', async (t) => {
    const script = `require('node:v8').setFlagsFromString('--max-old-space-size=24');
      const kept = [];
      process.once('message', () => { for (;;) kept.push({ at: kept.length, more: [kept.length] }); });`;
    const { failure } = await told(t, script);
    assert.match(
      failure!,
      /^compute process was ended \(.*\), most likely because memory ran out; lower --samples or --batch/,
    );
  });

  it('leaves nothing of what it was writing when it is killed', async (t) => {
    const folder = temporaryFolder(t, { 'out.onnx': 'old', '.other.onnx.1-abcdef': '' });
    const output = join(folder, 'out.onnx');
    const script = `process.once('message', ({ request }) => {
        const staged = require('node:fs').mkdtempSync(request.output.replace('out.onnx', '.out.onnx.' + process.pid + '-'));
        require('node:fs').writeFileSync(staged + '/out.onnx', 'half');
        process.send({ kind: 'progress' }, () => { for (;;); });
      });`;
    const entry = join(temporaryFolder(t, { 'compute.cjs': script }), 'compute.cjs');
    await new Promise<void>((resolve) => {
      const compute = new ComputeProcess(
        entry,
        { kind: 'prune', request: { output } as PruneRequest },
        {
          event: () => {
            assert.equal(readdirSync(folder).length, 3);
            compute.kill();
          },
          log: () => undefined,
          gone: () => resolve(),
        },
      );
    });
    assert.deepEqual(readdirSync(folder).sort(), ['.other.onnx.1-abcdef', 'out.onnx']);
    assert.equal(readFileSync(output, 'utf8'), 'old');
  });

  it('is gone with a reason when it cannot even begin', async (t) => {
    const { failure } = await told(t, 'throw new Error("no begin");');
    assert.match(failure!, /^compute process ended unexpectedly \(exit status 1\), its last words were /);
  });
});

describe('reasons of its end', () => {
  it('suspects memory of what killed it', () => {
    for (const words of [
      'FATAL ERROR: Reached heap limit - JavaScript heap out of memory',
      'std::bad_alloc',
      'FATAL ERROR: Zone Allocation failed - process out of memory\n 1: 0xb78db3',
    ]) {
      assert.match(exitMessage(134, null, words), /^compute process was ended \(exit status 134\), most likely/);
    }
    assert.match(exitMessage(null, 'SIGKILL', ''), /\(signal SIGKILL\), most likely because memory ran out/);
  });

  it('quotes the last line of what it wrote', () => {
    assert.match(exitMessage(1, null, 'one\n  two "2"\n\n'), /last words were "two \\"2\\""; compute again/);
    const stack =
      '#\n# Fatal error in , line 0\n# unreachable code\n----- Native stack trace -----\n 1: 0xb78db3 [node]\n';
    assert.match(exitMessage(null, 'SIGTRAP', stack), /last words were "# Fatal error in , line 0"/);
    assert.doesNotMatch(exitMessage(null, 'SIGSEGV', ' \n'), /last words/);
  });
});

describe('its environment', () => {
  it('holds what system and libraries need, and no secrets', () => {
    const env = { PATH: '/bin', LC_ALL: 'C', OMP_NUM_THREADS: '2', TOKEN: 'secret', NODE_OPTIONS: '--inspect' };
    assert.deepEqual(computeEnvironment(env), { PATH: '/bin', LC_ALL: 'C', OMP_NUM_THREADS: '2' });
  });

  it('asks for huge pages on Linux, unless the user has decided on them', () => {
    const set = (GLIBC_TUNABLES: string): unknown => allocation({ GLIBC_TUNABLES }, 'linux')['GLIBC_TUNABLES'];
    assert.deepEqual(allocation({}, 'linux'), { GLIBC_TUNABLES: 'glibc.malloc.hugetlb=1' });
    assert.equal(set('glibc.malloc.arena_max=1'), 'glibc.malloc.arena_max=1:glibc.malloc.hugetlb=1');
    assert.equal(set('glibc.malloc.hugetlb=0'), 'glibc.malloc.hugetlb=0');
    assert.deepEqual(allocation({ GLIBC_TUNABLES: 'glibc.malloc.check=3' }, 'darwin'), {});
  });

  it(
    'is that of the process',
    { skip: process.platform !== 'linux' && 'huge pages are asked for on Linux' },
    async (t) => {
      const { events } = await told(t, send(`{ kind: 'done', result: process.env.GLIBC_TUNABLES }`));
      assert.deepEqual(events, [{ kind: 'done', result: allocation(process.env, 'linux')['GLIBC_TUNABLES'] }]);
    },
  );
});
