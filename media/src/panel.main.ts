/** The limit panel: what the extension host says, drawn; what the user does, said back. */
import './l10n';
import { t } from '@vscode/l10n';
import type { AnalysisResult, PartialResult } from '../../protocol/analysis';
import type { FromPanel, ToPanel } from '../../protocol/messages';
import { duration } from '../../protocol/numbers';
import '../panel.css';
import { fill, h } from './dom';
import { Figures, place } from './figures';
import { drawConvergence, follow, type Progress } from './plots/convergence';
import { Summary, type Stage } from './summary';

declare function acquireVsCodeApi<State>(): {
  postMessage(message: FromPanel): void;
  getState(): State | undefined;
  setState(state: State): void;
};

/** What outlives the page. `checkpoint` is what the extension host restores a panel by. */
interface State {
  readonly checkpoint: string;
  readonly result?: PartialResult | AnalysisResult;
  readonly stage?: Stage;
  readonly history?: readonly Progress[];
  /** When the result was computed, if it was an answer from before: milliseconds since 1970. */
  readonly cached?: number | undefined;
}

type Running = ToPanel & { kind: 'running' };

const host = acquireVsCodeApi<State>();
const nonce = (document.currentScript as HTMLScriptElement | null)?.nonce ?? '';
const app = document.querySelector<HTMLElement>('#app')!;
const checkpoint = app.dataset['checkpoint']!;
const restored = host.getState();
let state: State = restored?.checkpoint === checkpoint ? restored : { checkpoint };

const status = h('section', { class: 'status', 'aria-label': t('Progress'), hidden: true });
const notice = h('p', { class: 'notice', role: 'alert', hidden: true });
const convergence = h('div', { class: 'plot' });
const convergenceBox = h(
  'section',
  { class: 'figure convergence', 'aria-label': t('How the answer sharpens'), hidden: true },
  h('header', {}, h('h2', {}, t('Convergence'))),
  convergence,
);
const summary = new Summary((layer) => host.postMessage({ kind: 'openLayers', layer }));
const figures = new Figures(nonce, (name, format, content) =>
  host.postMessage({ kind: 'export', name, format, content }),
);
const compute = h('button', { type: 'button', click: () => host.postMessage({ kind: 'compute' }) }, t('Compute'));
const layers = h(
  'button',
  { type: 'button', class: 'secondary', click: () => host.postMessage({ kind: 'openLayers' }) },
  t('Show Layers'),
);
const prune = h(
  'button',
  { type: 'button', class: 'secondary', hidden: true, click: () => host.postMessage({ kind: 'prune' }) },
  t('Prune at Limit…'),
);
const bar = h('div', {
  class: 'bar',
  role: 'progressbar',
  'aria-label': t('Progress of the analysis'),
  'aria-valuemin': 0,
  'aria-valuemax': 100,
});
const phase = h('p', { class: 'phase', role: 'status' });
const clock = h('p', { class: 'clock' });
const cancel = h(
  'button',
  { type: 'button', class: 'secondary', click: () => host.postMessage({ kind: 'cancel' }) },
  t('Cancel'),
);
fill(status, h('div', { class: 'line' }, phase, clock, cancel), bar);

const path = app.dataset['name']!;
const name = path.slice(path.lastIndexOf('/') + 1);
fill(
  app,
  h(
    'header',
    { class: 'top' },
    h('div', { class: 'title' }, h('h1', {}, name), h('p', { class: 'path', title: path }, path)),
    h('div', { class: 'buttons' }, layers, prune, compute),
  ),
  status,
  notice,
  summary.element,
  convergenceBox,
  figures.element,
);

function keep(change: Partial<State>): void {
  state = { ...state, ...change };
  host.setState(state);
}

function showRunning(running: Running): void {
  notice.hidden = true;
  status.hidden = false;
  compute.hidden = true;
  prune.hidden = true;
  phase.textContent = running.message;
  const done = running.fraction;
  const remaining = running.remaining === null ? '' : `, ${t('about {0} left', duration(running.remaining))}`;
  clock.textContent = running.elapsed > 0 ? `${duration(running.elapsed)}${remaining}` : '';
  bar.classList.toggle('endless', done === null);
  if (done === null) bar.removeAttribute('aria-valuenow');
  else bar.setAttribute('aria-valuenow', String(Math.round(done * 100)));
  bar.style.setProperty('--done', String(done ?? 0));
}

function showEnd(): void {
  status.hidden = true;
  compute.hidden = false;
  // Only a whole analysis is kept by the server, and has a limit to prune to.
  prune.hidden = state.stage !== 'done';
  compute.textContent = state.result ? t('Compute Again') : t('Compute');
}

function showNotice(text: string, failure: boolean): void {
  notice.textContent = text;
  notice.classList.toggle('failure', failure);
  notice.hidden = false;
}

/**
 * Drawing takes longer than a message. Only the newest state is drawn, and
 * drawing takes no more than a fifth of the time, so that buttons answer.
 */
let scheduled: ReturnType<typeof setTimeout> | undefined;
let notBefore = 0;
/** The end of a job is drawn without delay: nothing comes after it. */
function drawEnd(): void {
  clearTimeout(scheduled);
  scheduled = undefined;
  notBefore = 0;
  draw();
}

function draw(): void {
  scheduled ??= setTimeout(
    () => {
      scheduled = undefined;
      const { result, stage } = state;
      if (!result) return;
      const begin = performance.now();
      summary.update(result, stage ?? 'stopped', state.cached);
      figures.update(result);
      drawHistory();
      showWanted();
      const end = performance.now();
      notBefore = end + 4 * (end - begin);
    },
    Math.max(0, notBefore - performance.now()),
  );
}

/** The figure that was asked for. It gets the focus, so that a keyboard or a screen reader is there too. */
let wanted: string | undefined;
function showWanted(): void {
  const figure = wanted === undefined ? null : app.querySelector<HTMLElement>(`.figure.${CSS.escape(wanted)}`);
  wanted = undefined;
  if (!figure || figure.hidden) return;
  figure.tabIndex = -1;
  figure.focus({ preventScroll: true });
  figure.scrollIntoView({ block: 'start' });
}

/** What was measured is all there will be. */
function stop(): void {
  if (state.stage === 'running') keep({ stage: 'stopped' });
  showEnd();
  drawEnd();
}

function drawHistory(): void {
  convergenceBox.hidden = false;
  const drawn =
    state.stage === 'done' ? null : drawConvergence(state.history ?? [], Math.max(280, convergence.clientWidth));
  convergenceBox.hidden = drawn === null;
  if (drawn) place(convergence, drawn, nonce);
}

let fresh = true;
window.addEventListener('message', ({ data }: MessageEvent<ToPanel>) => {
  switch (data.kind) {
    case 'show':
      wanted = data.figure;
      draw();
      break;
    case 'idle':
      stop();
      if (!state.result) showNotice(t('Nothing was computed for this checkpoint yet.'), false);
      break;
    case 'running':
      // A new job starts from nothing; a panel that was opened in the middle keeps what it had.
      if (status.hidden && data.fraction === null) {
        fresh = true;
        keep({ history: [] });
      }
      showRunning(data);
      break;
    case 'partial':
      keep({
        result: data.result,
        stage: 'running',
        history: follow(fresh && state.stage !== 'running' ? [] : (state.history ?? []), data.result.limits),
      });
      fresh = false;
      draw();
      break;
    case 'done':
      notice.hidden = true;
      keep({ result: data.result, stage: 'done', cached: data.cached });
      showEnd();
      drawEnd();
      break;
    case 'cancelled':
      stop();
      showNotice(
        state.stage === 'stopped' ? t('Cancelled. What is below was measured before.') : t('Cancelled.'),
        false,
      );
      break;
    case 'failed':
      stop();
      showNotice(data.error.message, true);
      break;
  }
});

keep({});
draw();
host.postMessage({ kind: 'ready' });
