import assert from 'node:assert/strict';
import { test } from 'node:test';
import { temporaryFolder } from '../../../test/files';
import { sampleResult } from '../../../test/results';
import { AnalysisError } from '../errors';
import { htmlReport, openReportAssets } from './html';

const assets = { script: 'draw("</script>")', style: 'p::after { content: "</style>" }' };

/** Content of every script element, as a browser finds their ends. */
function scripts(page: string): { readonly attributes: string; readonly content: string }[] {
  return [...page.matchAll(/<script([^>]*)>([\s\S]*?)<\/script/gi)].map((match) => ({
    attributes: match[1]!,
    content: match[2]!,
  }));
}

const HOSTILE = '</script><script>alert(1)</script><!--<script>\u2028"&';

const hostile = {
  ...sampleResult,
  checkpoint: `/models/<img src=x onerror=alert(1)>&"${'</title>'.replace('/', '\u2215')}.onnx`,
  layers: [{ ...sampleResult.layers[0]!, name: HOSTILE }],
  warnings: [{ ...sampleResult.warnings[0]!, message: HOSTILE, layer: HOSTILE }],
};

test('a page holds the result and the script that draws it', () => {
  const found = scripts(htmlReport(sampleResult, assets));
  assert.equal(found.length, 2);
  assert.deepEqual(JSON.parse(found[0]!.content), sampleResult);
  assert.match(found[0]!.attributes, /type="application\/json" id="result"/);
  assert.equal(found[1]!.content, 'draw("<\\/script>")');
});

test('nothing in a name can end the element it is in', () => {
  const page = htmlReport(hostile, assets);
  const found = scripts(page);
  assert.equal(found.length, 2, 'no further script element');
  assert.ok(!found[0]!.content.includes('<'), 'no markup in the data');
  assert.deepEqual(JSON.parse(found[0]!.content), hostile);
  assert.ok(!page.includes('<img'));
  assert.ok(page.includes('<title>Pruning limit of &lt;img src=x onerror=alert(1)&gt;&amp;&quot;'));
  assert.equal(page.match(/<\/style>/g)!.length, 1);
});

test('a page may load nothing', () => {
  const page = htmlReport(sampleResult, assets);
  assert.match(page, /Content-Security-Policy" content="default-src 'none'; script-src 'unsafe-inline';/);
  assert.doesNotMatch(page, /(src|href)=/);
});

test('a number that JSON does not have is an error', () => {
  assert.throws(() => htmlReport({ ...sampleResult, loss: NaN }, assets), {
    name: AnalysisError.name,
    message: 'result not finite: loss is NaN; compute again with other samples, and report it',
  });
});

test('parts that are not there are named', async (t) => {
  const folder = temporaryFolder(t, { 'report.js': 'draw()' });
  await assert.rejects(openReportAssets(folder), {
    name: AnalysisError.name,
    message: `report cannot be drawn: ${folder}/report.css is missing (ENOENT); install or build again`,
  });
});
