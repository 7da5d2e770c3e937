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
