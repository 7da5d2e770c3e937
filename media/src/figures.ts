import { t } from '@vscode/l10n';
import type { PartialResult } from '../../protocol/analysis';
import { fill, h } from './dom';
import { pngBase64, svgText } from './export';
import { densityFigure } from './plots/density';
import type { Figure } from './plots/figure';
import { layersFigure } from './plots/layers';
import { limitFigure } from './plots/limit-curve';
import { accuracyFigure, lossFigure } from './plots/path';
import { csv, tableElement } from './table';

/** In the order in which they answer the user's questions. */
const figures: readonly Figure[] = [limitFigure, lossFigure, accuracyFigure, densityFigure, layersFigure];

/** `content` is text, of a PNG its bytes in base64. */
export type Export = (name: string, format: 'svg' | 'csv' | 'png', content: string) => void;

/** Puts a drawing into the page; its style element needs the page's nonce to be heard. */
export function place(holder: Element, drawing: Element, nonce: string): void {
  for (const style of drawing.querySelectorAll('style')) style.nonce = nonce;
  // To a screen reader a drawing is one picture with one name; its numbers are in the table.
  for (const svg of [drawing, ...drawing.querySelectorAll('svg')])
    if (svg.matches('svg')) svg.setAttribute('role', 'img');
  for (const part of drawing.querySelectorAll('g[aria-label]')) part.removeAttribute('aria-label');
  fill(holder, drawing);
}

/**
 * All figures of a result, each with its caption, its table and its exports.
 * They are made once and filled again, so that an open table stays open and
 * the focus stays where it is while an analysis runs.
 */
export class Figures {
  readonly element: HTMLElement;
  private readonly boxes: readonly FigureBox[];
  private result: PartialResult | undefined;

  /** @param prefix of ids, where several results are on one page */
  constructor(nonce: string, save?: Export, prefix = '') {
    this.boxes = figures.map((figure) => new FigureBox(figure, nonce, save, prefix));
    this.element = h('div', { class: 'figures' }, ...this.boxes.map(({ element }) => element));
    let width = 0;
    new ResizeObserver(() => {
      if (this.element.clientWidth === width) return;
      width = this.element.clientWidth;
      if (this.result) this.update(this.result);
    }).observe(this.element);
  }

  update(result: PartialResult): void {
    this.result = result;
    // A drawing's width follows from which others stand beside it, so all are shown before any is drawn.
    // And all are measured before, because a width that is read after a change has the page laid out anew.
    const ready = this.boxes.filter((box) => box.show(result)).map((box) => ({ box, width: box.width() }));
    for (const { box, width } of ready) box.update(result, width);
  }
}

class FigureBox {
  readonly element: HTMLElement;
  private readonly holder = h('div', { class: 'plot' });
  private readonly data: HTMLElement;
  private readonly details: HTMLDetailsElement;
  private result: PartialResult | undefined;

  constructor(
    private readonly figure: Figure,
    private readonly nonce: string,
    save: Export | undefined,
    prefix: string,
  ) {
    const id = `${prefix}figure-${figure.name}`;
    const button = (format: 'svg' | 'csv' | 'png', content: () => string | Promise<string>) =>
      h(
        'button',
        {
          type: 'button',
          class: 'quiet',
          'aria-label': t('Export {0} as {1}', figure.title, format.toUpperCase()),
          click: async () => save?.(figure.name, format, await content()),
        },
        format.toUpperCase(),
      );
    // Landmarks are for a page with one result; with several, the runs are.
    const [role, dataRole] = prefix === '' ? [undefined, 'region'] : ['group', 'group'];
    // It scrolls, so a keyboard has to reach it.
    this.data = h('div', {
      class: 'table',
      tabindex: 0,
      role: dataRole,
      'aria-label': `${t('Data')}: ${figure.title}`,
    });
    this.details = h('details', { toggle: () => this.fillTable() }, h('summary', {}, t('Data')), this.data);
    this.element = h(
      'section',
      { class: `figure ${figure.name}`, role, 'aria-labelledby': id, hidden: true },
      h(
        'header',
        {},
        h('h2', { id }, figure.title),
        save &&
          h(
            'span',
            { class: 'actions' },
            button('svg', () => svgText(this.holder.firstElementChild!)),
            button('png', () => pngBase64(this.holder.firstElementChild!)),
            button('csv', () => csv(this.figure.table(this.result!))),
          ),
      ),
      this.holder,
      h('p', { class: 'caption' }, figure.caption),
      this.details,
    );
  }

  /** Whether there is something to draw. */
  show(result: PartialResult): boolean {
    const ready = this.figure.ready(result);
    this.element.hidden = !ready;
    return ready;
  }

  /** Of the drawing, in pixels. */
  width(): number {
    return Math.max(280, this.holder.clientWidth);
  }

  update(result: PartialResult, width: number): void {
    this.result = result;
    place(this.holder, this.figure.draw(result, width), this.nonce);
    this.fillTable();
  }

  /** A table of a thousand rows is only built when it is looked at. */
  private fillTable(): void {
    if (this.details.open && this.result)
      fill(this.data, tableElement(this.figure.table(this.result), this.figure.title));
  }
}
