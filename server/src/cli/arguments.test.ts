import assert from 'node:assert/strict';
import { resolve } from 'node:path';
import { describe, it } from 'node:test';
import { InputError } from '../errors';
import { DEFAULT_OPTIONS } from '../options';
import { parseCommand, type Command } from './arguments';

type Analyze = Extract<Command, { kind: 'analyze' }>;

function analyze(...options: string[]): Analyze {
  const command = parseCommand(['analyze', 'net.onnx', '--data', 'data', ...options]);
  assert.equal(command.kind, 'analyze');
  return command as Analyze;
}

const problem = (message: string | RegExp) => ({ name: InputError.name, message });

describe('arguments', () => {
  it('makes paths absolute and remembers how they were typed', () => {
    const command = analyze('--report', 'out.html');
    assert.equal(command.request.checkpoint, resolve('net.onnx'));
    assert.equal(command.request.options.data.path, resolve('data'));
    assert.deepEqual(command.checkpoint, { typed: 'net.onnx', absolute: resolve('net.onnx') });
    assert.deepEqual(command.report, { typed: 'out.html', absolute: resolve('out.html') });
    assert.equal(analyze().report, undefined);
  });

  it('takes the defaults where nothing is said', () => {
    const { request, json } = analyze();
    assert.deepEqual(request.options, {
      ...DEFAULT_OPTIONS,
      data: { ...DEFAULT_OPTIONS.data, path: resolve('data') },
    });
    assert.equal(json, false);
  });

  it('takes every option', () => {
    const { request, json } = analyze(
      ...['--split', 'train', '--scale', '1', '--normalize', ' .5, .25;1,2', '--layout', 'nhwc', '--samples', 'all'],
      ...['--batch', '7', '--steps', '0', '--tolerance', '0.02', '--minutes', '0.5', '--epsilon', 'rel:0.1'],
      ...[
        '--curvature',
        'ggn',
        '--l1',
        '1e-4',
        '--provider',
        'webgpu',
        '--threads',
        '2',
        '--memory',
        '900',
        '--seed',
        '3',
        '--json',
      ],
    );
    assert.deepEqual(request.options, {
      data: {
        path: resolve('data'),
        split: 'train',
        scale: 1,
        normalize: { mean: [0.5, 0.25], deviation: [1, 2] },
        layout: 'nhwc',
        samples: 'all',
      },
      batch: 7,
      steps: 0,
      tolerance: 0.02,
      minutes: 0.5,
      epsilon: { kind: 'relative', value: 0.1 },
      curvature: 'ggn',
      l1: 1e-4,
      provider: 'webgpu',
      threads: 2,
      memory: 900,
      seed: 3,
    });
    assert.equal(json, true);
  });

  it('reads the rules of the loss tolerance', () => {
    const rule = (text: string) => analyze('--epsilon', text).request.options.epsilon;
    assert.deepEqual(rule('batch-std'), { kind: 'batch-std' });
    assert.deepEqual(rule('abs:0.01'), { kind: 'absolute', value: 0.01 });
    assert.deepEqual(rule('rel:2'), { kind: 'relative', value: 2 });
    for (const text of ['abs', 'abs:', 'abs:-1', 'rel:x', 'rel:Infinity', 'std', '']) {
      assert.throws(() => rule(text), problem(/^--epsilon takes batch-std, abs:X or rel:X/), text);
    }
  });

  it('answers help wherever it is asked for', () => {
    const text = (...argv: string[]): string => {
      const command = parseCommand(argv);
      assert.equal(command.kind, 'help');
      return (command as Extract<Command, { kind: 'help' }>).text;
    };
    assert.equal(text('help', 'analyze'), text('analyze', '--help'));
    assert.equal(text('help', 'inspect'), text('inspect', '-h'));
    assert.equal(text('help', 'unknown'), text());
    // Help outranks what is missing.
    assert.equal(text('analyze', 'a', 'b', '--help'), text('analyze', '-h'));
    assert.deepEqual(parseCommand(['--version']), { kind: 'version' });
  });

  it('takes names that begin with a dash after --', () => {
    const command = parseCommand(['inspect', '--', '-odd.onnx']);
    assert.equal(command.kind === 'inspect' && command.checkpoint.typed, '-odd.onnx');
  });

  it('names the option whose value is out of range, and the range', () => {
    assert.throws(() => analyze('--threads', '1025'), problem('--threads out of range: 1025; give 0 to 1024'));
    assert.throws(() => analyze('--scale=-1'), problem('--scale out of range: -1; give above 0'));
    assert.throws(
      () => analyze('--seed', '4294967296'),
      problem('--seed out of range: 4294967296; give 0 to 4294967295'),
    );
    assert.throws(() => analyze('--samples', 'ALL'), problem('--samples takes a number, not "ALL"'));
    assert.throws(() => analyze('--memory', ' '), problem('--memory takes a number, not " "'));
    assert.throws(() => analyze('--steps', '1e999'), problem('--steps takes a number, not "1e999"'));
  });

  it('refuses options of the other command', () => {
    assert.throws(
      () => parseCommand(['inspect', 'net.onnx', '--data', 'x']),
      problem('unknown option: --data; see pruning-limit inspect --help'),
    );
  });
});
