/**
 * The report: one page with everything the panel shows, for a browser without
 * an editor. It reads the `AnalysisResult` from
 *
 *     <script type="application/json" id="result">…</script>
 *
 * and fills `<main id="app">`. `dist/media/report.js` and `report.css` are
 * inlined into the page by whoever writes it; a page with a content security
 * policy gives the script's nonce to the style of every drawing as well.
 */
import type { AnalysisResult } from '../../protocol/analysis';
import '../report.css';
import { fill, h } from './dom';
import { Figures, type Export } from './figures';
import { Summary } from './summary';

const nonce = (document.currentScript as HTMLScriptElement | null)?.nonce ?? '';

const download: Export = (name, format, content) => {
  const type = { svg: 'image/svg+xml', csv: 'text/csv', png: 'image/png' }[format];
  const bytes = format === 'png' ? Uint8Array.from(atob(content), (letter) => letter.charCodeAt(0)) : content;
  const url = URL.createObjectURL(new Blob([bytes], { type }));
  h('a', { href: url, download: `${name}.${format}` }).click();
  setTimeout(() => URL.revokeObjectURL(url), 1000);
};

function show(): void {
  const result = JSON.parse(document.querySelector('#result')!.textContent!) as AnalysisResult;
  const path = result.checkpoint;
  const name = path.split(/[\\/]/).at(-1)!;
  const summary = new Summary();
  const figures = new Figures(nonce, download);
  fill(
    document.querySelector('#app')!,
    h(
      'header',
      { class: 'top' },
      h('div', { class: 'title' }, h('h1', {}, name), h('p', { class: 'path', title: path }, path)),
    ),
    summary.element,
    figures.element,
  );
  summary.update(result, 'done');
  figures.update(result);
}

if (document.readyState === 'loading') document.addEventListener('DOMContentLoaded', show);
else show();
