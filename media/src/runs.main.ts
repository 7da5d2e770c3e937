/** Past runs: the report of one, or several side by side. */
import './l10n';
import { t } from '@vscode/l10n';
import type { AnalysisResult, CurvatureKind } from '../../protocol/analysis';
import type { FromRuns, ToRuns } from '../../protocol/messages';
import { grouped, limitText, percent, significant } from '../../protocol/numbers';
import '../runs.css';
import { fill, h } from './dom';
import { Figures } from './figures';
import { Summary } from './summary';

declare function acquireVsCodeApi<State>(): {
  postMessage(message: FromRuns): void;
  setState(state: State): void;
};

const host = acquireVsCodeApi<{ readonly runs: readonly string[] }>();
const nonce = (document.currentScript as HTMLScriptElement | null)?.nonce ?? '';
const app = document.querySelector<HTMLElement>('#app')!;
host.setState({ runs: JSON.parse(app.dataset['runs']!) as string[] });

type ShownRun = ToRuns['runs'][number];

function column({ title, started, result }: ShownRun, index: number): HTMLElement {
  const { checkpoint } = result;
  const id = `run-${index}`;
  const summary = new Summary((layer) => host.postMessage({ kind: 'openLayers', checkpoint, layer }), 'group');
  const figures = new Figures(
    nonce,
    (name, format, content) => host.postMessage({ kind: 'export', checkpoint, name, format, content }),
    `${id}-`,
  );
  const element = h(
    'section',
    { class: 'run', 'aria-labelledby': `${id} ${id}-when` },
    h(
      'header',
      { class: 'title' },
      h('h1', { id }, title),
      h(
        'p',
        { id: `${id}-when`, class: 'path', title: checkpoint },
        `${new Date(started).toLocaleString(document.documentElement.lang)}, ${checkpoint}`,
      ),
    ),
    summary.element,
    figures.element,
  );
  summary.update(result, 'done');
  // The width of a drawing is known when it has its place.
  requestAnimationFrame(() => figures.update(result));
  return element;
}

/** What is compared first: one row per run. */
function comparison(runs: readonly ShownRun[]): HTMLElement {
  const limit = (result: AnalysisResult, operator: CurvatureKind): string => {
    const found = result.limits.find((one) => one.operator === operator);
    return found ? limitText(found) : '–';
  };
  const columns: readonly [string, (run: ShownRun) => string][] = [
    ['Hessian', ({ result }) => limit(result, 'hessian')],
    ['Gauss–Newton', ({ result }) => limit(result, 'ggn')],
    [t('Loss'), ({ result }) => significant(result.loss, 4)],
    [t('Accuracy'), ({ result: { accuracy } }) => percent(accuracy.correct / Math.max(1, accuracy.total), 2)],
    [t('Tolerance ε'), ({ result }) => significant(result.epsilon.value)],
    [t('Samples'), ({ result }) => grouped(result.data.samples)],
    [t('Weights'), ({ result }) => grouped(result.parameters.prunable)],
  ];
  return h(
    'div',
    { class: 'comparison', tabindex: 0, role: 'region', 'aria-label': t('Comparison of runs') },
    h(
      'table',
      {},
      h('caption', { class: 'hidden' }, t('Comparison of runs')),
      h(
        'thead',
        {},
        h('tr', {}, h('td'), ...columns.map(([name]) => h('th', { scope: 'col', class: 'number' }, name))),
      ),
      h(
        'tbody',
        {},
        ...runs.map((run) =>
          h(
            'tr',
            {},
            h('th', { scope: 'row' }, run.title),
            ...columns.map(([, text]) => h('td', { class: 'number' }, text(run))),
          ),
        ),
      ),
    ),
  );
}

window.addEventListener('message', ({ data }: MessageEvent<ToRuns>) => {
  if (data.kind !== 'runs') return;
  const { runs } = data;
  if (runs.length === 0) {
    fill(app, h('p', { class: 'notice', role: 'alert' }, t('This run has no result, or was deleted.')));
    return;
  }
  fill(
    app,
    runs.length > 1 && comparison(runs),
    runs.length > 1
      ? h(
          'div',
          { class: 'runs several', tabindex: 0, role: 'region', 'aria-label': t('Runs side by side') },
          ...runs.map(column),
        )
      : h('div', { class: 'runs single' }, ...runs.map(column)),
  );
});

host.postMessage({ kind: 'ready' });
