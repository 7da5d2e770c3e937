import { printed } from './plots/figure';

/**
 * A drawing as a file of its own: colours of paper instead of the editor's
 * theme, and nothing that only a page could resolve.
 */
export function svgText(drawing: Element): string {
  const svg = drawing instanceof SVGSVGElement ? drawing : drawing.querySelector('svg');
  const copy = svg!.cloneNode(true) as SVGSVGElement;
  copy.setAttribute('xmlns', 'http://www.w3.org/2000/svg');
  copy.setAttribute('font-family', 'Helvetica, Arial, sans-serif');
  const background = document.createElementNS('http://www.w3.org/2000/svg', 'rect');
  for (const [name, value] of Object.entries({ width: '100%', height: '100%', fill: '#ffffff' })) {
    background.setAttribute(name, value);
  }
  copy.querySelector('style')?.after(background);
  if (!background.isConnected && background.parentNode === null) copy.prepend(background);
  const text = new XMLSerializer().serializeToString(copy);
  return text
    .replace(/ nonce="[^"]*"/g, '')
    .replace(/var\((--pl-[a-z]+)\)/g, (_, name: string) => printed[name] ?? '#ffffff');
}

/** Pixels per unit of a drawing: sharp on paper and on dense screens. */
const DENSITY = 2;

/** A drawing as a PNG file, its bytes in base64. */
export async function pngBase64(drawing: Element): Promise<string> {
  const svg = drawing instanceof SVGSVGElement ? drawing : drawing.querySelector('svg')!;
  const { width, height } = svg.getBoundingClientRect();
  const image = new Image();
  image.src = `data:image/svg+xml;charset=utf-8,${encodeURIComponent(svgText(drawing))}`;
  await image.decode();
  const canvas = document.createElement('canvas');
  canvas.width = Math.round(width * DENSITY);
  canvas.height = Math.round(height * DENSITY);
  canvas.getContext('2d')!.drawImage(image, 0, 0, canvas.width, canvas.height);
  return canvas.toDataURL('image/png').split(',')[1]!;
}
