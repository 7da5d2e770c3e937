export interface Panel {
  readonly title: string;
  /** By estimator; the first one ships. */
  readonly lines: ReadonlyMap<string, readonly BracketPoint[]>;
}

export interface BracketPoint {
  readonly products: number;
  readonly low: number;
  readonly high: number;
}

const PANEL = { width: 300, height: 220, left: 44, top: 26, gap: 30, bottom: 56, columns: 2 } as const;
/** Widths of the bracket. */
const LEVELS = [0.001, 0.01, 0.1, 1];
const COLOURS = ['#1f77b4', '#d62728', '#2ca02c', '#9467bd'];

/** The width of the bracket of each case against the products, both logarithmic. */
export function curvesSvg(panels: readonly Panel[]): string {
  const columns = Math.min(PANEL.columns, panels.length);
  const rows = Math.ceil(panels.length / columns);
  const [cellWidth, cellHeight] = [PANEL.left + PANEL.width + PANEL.gap, PANEL.top + PANEL.height + PANEL.bottom];
  const [width, height] = [columns * cellWidth, rows * cellHeight];
  const drawn = panels.map((panel, i) =>
    draw(panel, PANEL.left + (i % columns) * cellWidth, Math.floor(i / columns) * cellHeight + PANEL.top),
  );
  return `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${width} ${height}" font-family="sans-serif" font-size="12">
<rect width="${width}" height="${height}" fill="white"/>
${drawn.join('\n')}
</svg>
`;
}

function draw({ title, lines }: Panel, left: number, top: number): string {
  const all = [...lines.values()].flat().map(({ products }) => products);
  const [first, last] = [Math.min(...all), Math.max(...all)];
  const x = (products: number): number => left + (PANEL.width * Math.log(products / first)) / Math.log(last / first);
  const y = (width: number): number => top + (PANEL.height * Math.log(width)) / Math.log(LEVELS[0]!);
  const bottom = top + PANEL.height;
  const ticks = [...new Set(all)].filter(
    (n) => Number.isInteger(Math.log2(n)) || (n === last && n > 1.5 * 2 ** Math.floor(Math.log2(n))),
  );
  const curves = [...lines.values()].map((points, i) => {
    const at = points.map(({ products, low, high }) => `${x(products).toFixed(1)},${y(high - low).toFixed(1)}`);
    const dash = i === 0 ? '' : ' stroke-dasharray="5 3"';
    return `<path d="M${at.join('L')}" fill="none" stroke="${COLOURS[i]!}" stroke-width="1.5"${dash}/>`;
  });
  const names = [...lines.keys()].map((name, i) => `<tspan fill="${COLOURS[i]!}">${i > 0 ? ' · ' : ''}${name}</tspan>`);
  return [
    `<text x="${left}" y="${top - 10}" font-weight="bold">${title}</text>`,
    ...LEVELS.map(
      (width) =>
        `<path d="M${left} ${y(width).toFixed(1)}h${PANEL.width}" stroke="#ddd"/><text x="${left - 6}" y="${(y(width) + 4).toFixed(1)}" text-anchor="end">${100 * width}</text>`,
    ),
    ...curves,
    ...ticks.map((n) => `<text x="${x(n).toFixed(1)}" y="${bottom + 16}" text-anchor="middle">${n}</text>`),
    `<text x="${left + PANEL.width / 2}" y="${bottom + 32}" text-anchor="middle">products</text>`,
    `<text x="${left + PANEL.width / 2}" y="${bottom + 48}" text-anchor="middle" font-size="11">${names.join('')}</text>`,
  ].join('\n');
}
