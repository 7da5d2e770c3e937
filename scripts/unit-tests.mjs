// Runs bundled node:test files, each in a process of its own, and prints one
// line per file, whatever failed, and why what was skipped was skipped.
import { relative } from 'node:path';
import { run } from 'node:test';

/** Milliseconds after which a file that does not end is ended, and has failed; the longest takes a third of it. */
const LONGEST = 20 * 60_000;

/** @returns {Promise<{passed: number, failed: number, skipped: number}>} */
export async function runUnitTests(files, root) {
  const totals = { passed: 0, failed: 0, skipped: 0 };
  const failuresOf = new Map();
  const reasons = new Map();
  // Two cores: two files at a time.
  for await (const { type, data } of run({ files, concurrency: 2, timeout: LONGEST })) {
    const isFile = files.includes(data.name);
    if (type === 'test:complete' && isFile) {
      const seconds = (data.details.duration_ms / 1000).toFixed(1).padStart(6);
      console.log(`  ${data.details.passed ? '✔' : '✖'} ${seconds} s  ${relative(root, data.name)}`);
    } else if (type === 'test:pass' && data.details.type !== 'suite') {
      if (data.skip === undefined) totals.passed++;
      else {
        totals.skipped++;
        const reason = data.skip === true ? data.name : data.skip;
        reasons.set(reason, (reasons.get(reason) ?? 0) + 1);
      }
    } else if (type === 'test:fail' && data.details.type !== 'suite') {
      const file = data.file ?? data.name;
      const known = failuresOf.get(file) ?? 0;
      // The file's own failure only says again that a test in it failed, unless it could not even run.
      if (isFile && known > 0) continue;
      failuresOf.set(file, known + 1);
      totals.failed++;
      console.log(`  ✖ ${relative(root, file)}: ${data.name}\n${describe(data.details.error)}`);
    } else if (type === 'test:stderr') process.stderr.write(data.message);
  }
  for (const [reason, times] of reasons) console.log(`  skipped ${times}: ${reason}`);
  return totals;
}

function describe(error) {
  const cause = error?.cause ?? error;
  const text = cause instanceof Error ? (cause.stack ?? cause.message) : String(cause?.message ?? cause);
  return text
    .split('\n')
    .slice(0, 24)
    .map((line) => `      ${line}`)
    .join('\n');
}
