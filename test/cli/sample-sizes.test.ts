import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { AnalysisResult } from '../../protocol/analysis';
import { projectRoot } from '../outside';
import { run } from './command';
import { assertMatches } from './schema';
import { tinySubject } from './subject';

const SAMPLE = ['analyze', 'samples/digits.onnx', '--data', 'samples/data', '--split', 'train', '--threads', '1'];

test('--sample-sizes says how the limit falls with more samples, and contains what more of them give', async () => {
  const cwd = projectRoot();
  const options = ['--curvature', 'ggn', '--epsilon', 'abs:0.02', '--provider', 'cpu', '--steps', '40', '--json'];
  const small = await run([...SAMPLE, ...options, '--samples', '96', '--batch', '24', '--sample-sizes'], { cwd });
  assert.equal(small.status, 0, small.stderr);
  const result = JSON.parse(small.stdout) as AnalysisResult;
  assertMatches('result', result);
  const [found, ...others] = result.sampleSizes!;
  assert.deepEqual([found!.operator, others], ['ggn', []]);
  assert.deepEqual(
    found!.sizes.map(({ samples, parts }) => [samples, parts]),
    [
      [12, 8],
      [24, 4],
      [48, 2],
      [96, 1],
    ],
  );
  found!.sizes.forEach(({ sparsity, interval }, i) => {
    assert.ok(interval[0] < sparsity && sparsity < interval[1]);
    if (i > 0) assert.ok(sparsity < found!.sizes[i - 1]!.sparsity, 'it falls as samples are added');
  });
  // The same limit again, and sharper.
  const [limit] = result.limits;
  const { sparsity } = found!.sizes[3]!;
  assert.ok(limit!.interval[0] <= sparsity && sparsity <= limit!.interval[1]);

  const large = await run([...SAMPLE, ...options, '--samples', '400', '--batch', '100'], { cwd });
  assert.equal(large.status, 0, large.stderr);
  const [truth] = (JSON.parse(large.stdout) as AnalysisResult).limits;
  const { samples, interval } = found!.whole!;
  assert.equal(samples, result.data.available);
  assert.ok(
    interval[0] <= truth!.interval[1] && truth!.interval[0] <= interval[1],
    `${truth!.sparsity} in ${interval}`,
  );
});

test('both operators stand in one table, and what cannot be cut is refused', async (t) => {
  const cwd = tinySubject(t);
  const args = ['analyze', 'net.onnx', '--data', 'data', '--threads', '1', '--steps', '20', '--sample-sizes'];
  const { status, stdout, stderr } = await run(args, { cwd });
  assert.equal(status, 0, stderr);
  assert.match(
    stdout,
    /^The limit with fewer samples, .*\nsamples +parts +Hessian, \|λ\| +Gauss–Newton\n +6 +8 .*\n +12 +4 .*\n +24 +2 .*\n +48 +1 /m,
  );
  const few = await run([...args, '--samples', '30'], { cwd });
  assert.equal(few.status, 2);
  assert.match(few.stderr, /samples too few for --sample-sizes: 30, .* choose 32 or more with --samples/);
  const none = await run([...args, '--steps', '0'], { cwd });
  assert.equal(none.status, 2);
  assert.match(none.stderr, /nothing to study for --sample-sizes: with 0 steps no limit is computed; leave /);
});

test('memory that suffices for the limits alone gives them, and says what fewer samples lack', async () => {
  const cwd = projectRoot();
  const options = ['--samples', '256', '--curvature', 'ggn', '--steps', '6', '--provider', 'cpu', '--json'];
  const granted = (mebibytes: number) =>
    run([...SAMPLE, ...options, '--sample-sizes', '--memory', String(mebibytes)], { cwd });
  const alone = /the process alone takes (\d+) MiB/.exec((await granted(30)).stderr)!;
  let mebibytes = Number(alone[1]);
  let finished = await granted(mebibytes);
  // Ever more, up to where the limits are found for the first time.
  while (finished.status === 2 && mebibytes < 1000) finished = await granted((mebibytes += 6));
  assert.equal(finished.status, 0, finished.stderr);
  const result = JSON.parse(finished.stdout) as AnalysisResult;
  assertMatches('result', result);
  assert.deepEqual([result.limits.length, result.path.length > 0, result.sampleSizes], [1, true, []]);
  const { message } = result.warnings.find(({ code }) => code === 'sizes-missing')!;
  assert.match(
    message,
    /^how the limit falls as samples are added is not known, .* memory ran out: \d+ MiB in use, \d+ MiB granted; lower --batch or --samples, or grant more with --memory$/,
  );
});
