import { t } from '@vscode/l10n';
import type { AnalysisResult, LimitResult, OneShotLimit, PartialResult } from '../../protocol/analysis';
import {
  criterionText,
  duration,
  grouped,
  limitText,
  oneShotText,
  operatorName,
  percent,
  percentRange,
  sampleSizesText,
  significant,
} from '../../protocol/numbers';
import { SEVERITY } from '../../protocol/severity';
import { fill, h } from './dom';
import { splitName } from './plots/measured';
import { whyOpen } from './open-limit';

/** Where an analysis is: its numbers may still sharpen, are as sharp as asked or affordable, or were left as they were. */
export type Stage = 'running' | 'done' | 'stopped';

/** The answer in words: headline, both operators, what it rests on, and what to beware of. */
export class Summary {
  readonly element: HTMLElement;

  /**
   * @param openLayer shows a layer in the layer summary; absent where there is none
   * @param role `group` where it is one of several, which are no landmarks
   */
  constructor(
    private readonly openLayer?: (layer: string) => void,
    role?: 'group',
  ) {
    this.element = h('section', { class: 'summary', role, 'aria-label': t('Result') });
  }

  clear(): void {
    fill(this.element);
  }

  /** @param cached when the result was computed, if it was an answer from before: milliseconds since 1970 */
  update(result: PartialResult | AnalysisResult, stage: Stage, cached?: number): void {
    const [first] = result.limits;
    fill(
      this.element,
      first
        ? headlineElement(first, result.parameters.prunable, stage)
        : stage === 'done' &&
            h('p', { class: 'headline open' }, t('No limit was computed: the budget allowed no Lanczos step')),
      result.limits.length > 0 && limitsTable(result.limits),
      ...result.limits.map(({ operator, method }) =>
        h('p', { class: 'detail' }, `${operatorName[operator]}: ${method}.`),
      ),
      sampleSizeTable(result),
      ...(result.sampleSizes ?? []).map((sizes) =>
        h('p', { class: 'detail' }, `${operatorName[sizes.operator]}: ${sampleSizesText(sizes)}`),
      ),
      oneShotTable(result),
      warningList(result, this.openLayer),
      facts(result, cached),
    );
  }
}

function headlineElement(limit: LimitResult, prunable: number, stage: Stage): HTMLElement {
  const [answer, range] = limitText(limit).split(' (');
  const lead = limit.resolved ? t('Can be pruned to') : stage === 'running' ? t('So far') : t('Unresolved:');
  const kept = (fraction: number) => grouped(fraction * prunable);
  const detail = limit.resolved
    ? t(
        'Keeps {0} of {1} weights, about {2}.',
        percentRange([1 - limit.interval[1], 1 - limit.interval[0]]),
        grouped(prunable),
        kept(limit.keep),
      )
    : whyOpen(limit.end, stage === 'running');
  return h(
    'div',
    { class: 'answer' },
    h(
      'p',
      { class: `headline${limit.resolved ? '' : ' open'}` },
      `${lead} `,
      h('strong', {}, answer!),
      range !== undefined && h('span', { class: 'range' }, ` (${range}`),
    ),
    h('p', { class: 'detail' }, detail),
  );
}

/** Where a cell is too narrow, its line ends neither before a percent sign nor inside a range. */
function together(text: string): string {
  return text.replaceAll(' %', '\u00a0%').replaceAll('–', '\u2060–\u2060');
}

function limitsTable(limits: readonly LimitResult[]): HTMLElement {
  const row = (label: string, text: (limit: LimitResult) => string, title?: string) =>
    h(
      'tr',
      {},
      h('th', { scope: 'row', title }, label),
      ...limits.map((limit) => h('td', { class: 'number' }, text(limit))),
    );
  const bracketed = ({ curvature }: LimitResult) =>
    `${significant(curvature.trace)} ± ${significant(curvature.traceStandardError, 2)}`;
  return h(
    'table',
    { class: 'limits' },
    h('caption', { class: 'hidden' }, t('Limits by operator')),
    h(
      'thead',
      {},
      h(
        'tr',
        {},
        h('td'),
        ...limits.map(({ operator }) =>
          h('th', { scope: 'col', class: 'number' }, h('span', { class: `key ${operator}` }), operatorName[operator]),
        ),
      ),
    ),
    h(
      'tbody',
      {},
      row(t('Sparsity at the limit'), (limit) =>
        together(limit.resolved ? limitText(limit) : percentRange(limit.interval)),
      ),
      row(
        t('Bounds on keep'),
        ({ lower, upper }) => percentRange([lower, upper]),
        t(
          'A random subspace of fewer dimensions misses the tolerance and one of more meets it, with probability {0} each. A network is no random subspace.',
          percent(1 - limits[0]!.eta, 0),
        ),
      ),
      row(t('Bound from the trace alone'), ({ traceBound }) => percent(traceBound), t('On the safe side of the limit')),
      row(
        t('Optimistic end'),
        ({ sharp }) => percent(sharp),
        t(
          'If the kept weights could be re-optimised in a random subspace. A network is not that model: read it as an upper end only.',
        ),
      ),
      row(t('Trace'), bracketed),
      row(
        t('Eigenvalues'),
        ({ curvature }) => `${significant(curvature.lambdaMin)} … ${significant(curvature.lambdaMax)}`,
      ),
      row(t('Lanczos steps, probes'), ({ curvature }) =>
        curvature.exact ? t('whole matrix: every eigenvalue') : `${curvature.steps}, ${curvature.probes}`,
      ),
    ),
  );
}

/** The limit on fewer samples, where that was asked. */
function sampleSizeTable({ sampleSizes = [] }: PartialResult): HTMLElement | false {
  const [first] = sampleSizes;
  if (first === undefined) return false;
  return h(
    'table',
    { class: 'limits' },
    h('caption', { class: 'hidden' }, t('Limit against the number of samples')),
    h(
      'thead',
      {},
      h(
        'tr',
        {},
        h('th', { scope: 'col', title: t('Means over parts of the samples; with the 95 % interval') }, t('Samples')),
        ...sampleSizes.map(({ operator }) => h('th', { scope: 'col', class: 'number' }, operatorName[operator])),
      ),
    ),
    h(
      'tbody',
      {},
      ...first.sizes.map(({ samples }, i) =>
        h(
          'tr',
          {},
          h('th', { scope: 'row' }, grouped(samples)),
          ...sampleSizes.map(({ sizes }) => h('td', { class: 'number' }, together(oneShotText(sizes[i]!)))),
        ),
      ),
    ),
  );
}

/** Up to where the measured network is still as good as asked, one column per split. */
function oneShotTable({ measured }: PartialResult): HTMLElement | false {
  const splits = measured.filter(({ oneShot }) => oneShot.length > 0);
  if (splits.length === 0) return false;
  const criteria = [...new Set(splits.flatMap(({ oneShot }) => oneShot.map(criterionText)))];
  const cell = (oneShot: readonly OneShotLimit[], criterion: string): string => {
    const limit = oneShot.find((one) => criterionText(one) === criterion);
    return limit === undefined ? '–' : oneShotText(limit);
  };
  return h(
    'table',
    { class: 'limits' },
    h('caption', { class: 'hidden' }, t('Measured limits of pruning at once')),
    h(
      'thead',
      {},
      h(
        'tr',
        {},
        h(
          'th',
          { scope: 'col', title: t('Without retraining; with the 95 % interval') },
          t('Pruned at once, measured'),
        ),
        ...splits.map(({ split, samples }) =>
          h('th', { scope: 'col', class: 'number' }, `${grouped(samples)} ${splitName[split]}`),
        ),
      ),
    ),
    h(
      'tbody',
      {},
      ...criteria.map((criterion) =>
        h(
          'tr',
          {},
          h(
            'th',
            { scope: 'row' },
            criterion.replace(/^./, (letter) => letter.toUpperCase()),
          ),
          ...splits.map(({ oneShot }) => h('td', { class: 'number' }, cell(oneShot, criterion))),
        ),
      ),
    ),
  );
}

function warningList({ warnings }: PartialResult, openLayer?: (layer: string) => void): HTMLElement | false {
  if (warnings.length === 0) return false;
  return h(
    'ul',
    { class: 'warnings', 'aria-label': t('Warnings') },
    ...warnings.map(({ code, message, layer }) =>
      h(
        'li',
        { class: SEVERITY[code] },
        sign(SEVERITY[code]),
        h('span', {}, message),
        layer !== undefined &&
          openLayer !== undefined &&
          h('button', { type: 'button', class: 'link', click: () => openLayer(layer) }, t('Show layer')),
      ),
    ),
  );
}

const SIGNS = {
  warning: 'M8 1.9 14.6 13.6H1.4ZM8 6v3.8M8 11.2v1.4',
  information: 'M8 1.6a6.4 6.4 0 1 1 0 12.8A6.4 6.4 0 1 1 8 1.6M8 7v4.6M8 4.4v1.4',
} as const;

/** Drawn, because not every font has the characters. */
function sign(severity: keyof typeof SIGNS): HTMLElement {
  const holder = h('span', {
    class: 'sign',
    role: 'img',
    'aria-label': severity === 'warning' ? t('Warning') : t('Information'),
  });
  const name = 'http://www.w3.org/2000/svg';
  const svg = document.createElementNS(name, 'svg');
  const path = document.createElementNS(name, 'path');
  for (const [key, value] of Object.entries({ viewBox: '0 0 16 16', 'aria-hidden': 'true' }))
    svg.setAttribute(key, value);
  path.setAttribute('d', SIGNS[severity]);
  svg.append(path);
  holder.append(svg);
  return holder;
}

function facts(result: PartialResult | AnalysisResult, cached: number | undefined): HTMLElement {
  const { accuracy, data, engine, epsilon, parameters, validity } = result;
  const time = 'time' in result ? result.time : undefined;
  const entries: [string, string | false][] = [
    [t('Loss tolerance'), `ε = ${significant(epsilon.value)} nats (${epsilon.rule})`],
    [t('Loss'), `${significant(result.loss, 4)} nats`],
    [
      t('Accuracy'),
      `${percent(accuracy.correct / Math.max(1, accuracy.total), 2)} (${t('{0} of {1}', grouped(accuracy.correct), grouped(accuracy.total))})`,
    ],
    [
      t('Samples'),
      t(
        '{0} of {1}, {2} classes ({3})',
        grouped(data.samples),
        grouped(data.available),
        grouped(data.classes),
        data.format,
      ),
    ],
    [t('Weights'), t('{0} prunable of {1}', grouped(parameters.prunable), grouped(parameters.total))],
    [t('Gradient norm'), significant(validity.gradientNorm)],
    [t('Edge of validity'), validity.edge !== null && percent(validity.edge)],
    [
      t('Engine'),
      `${engine.name} ${engine.version}, ${engine.provider}${engine.threads > 0 ? `, ${t('{0} threads', engine.threads)}` : ''}`,
    ],
    [t('Provider'), engine.reason !== '' && engine.reason],
    [t('Time'), time !== undefined && `${duration(time.total)}, ${t('{0} products', grouped(time.products))}`],
    [
      t('From the cache'),
      cached !== undefined && t('computed {0}', new Date(cached).toLocaleString(document.documentElement.lang)),
    ],
  ];
  return h(
    'dl',
    { class: 'facts' },
    ...entries.flatMap(([key, value]) => (value === false ? [] : [h('div', {}, h('dt', {}, key), h('dd', {}, value))])),
  );
}
