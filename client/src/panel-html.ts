import { randomBytes } from 'node:crypto';
import * as vscode from 'vscode';

/** Folder of the panel's script and style, and the only one it may read. */
export function mediaRoot(extension: vscode.Uri): vscode.Uri {
  return vscode.Uri.joinPath(extension, 'dist', 'media');
}

/**
 * A panel's page: nothing in it comes from outside the extension, and no script
 * runs without the nonce.
 *
 * @param page name of its script
 * @param data what the script finds in the `data-` attributes of `#app`
 */
export function pageHtml(
  webview: vscode.Webview,
  extension: vscode.Uri,
  page: 'panel' | 'runs',
  data: Readonly<Record<string, string>>,
): string {
  const attributes = Object.entries(data).map(([name, value]) => `data-${name}="${escape(value)}"`);
  // Data in a page of scripts: it must not end its element.
  const words = vscode.l10n.bundle ? JSON.stringify(vscode.l10n.bundle).replaceAll('<', '\\u003c') : '';
  const nonce = randomBytes(16).toString('base64url');
  const media = (name: string) => webview.asWebviewUri(vscode.Uri.joinPath(mediaRoot(extension), name)).toString();
  const policy = [
    `default-src 'none'`,
    `script-src 'nonce-${nonce}'`,
    // A drawing becomes a picture by way of an image of itself.
    `img-src blob: data:`,
    // Observable Plot puts a style element into each drawing; it gets the nonce too.
    `style-src ${webview.cspSource} 'nonce-${nonce}'`,
  ].join('; ');
  return `<!DOCTYPE html>
<html lang="${vscode.l10n.bundle ? vscode.env.language : 'en'}">
  <head>
    <meta charset="utf-8" />
    <meta http-equiv="Content-Security-Policy" content="${policy}" />
    <meta name="viewport" content="width=device-width, initial-scale=1" />
    <link rel="stylesheet" href="${media(`${page}.css`)}" />
    <title>Pruning Limit</title>
  </head>
  <body>
    <main id="app" ${attributes.join(' ')}></main>
    <script type="application/json" id="l10n">${words}</script>
    <script nonce="${nonce}" src="${media(`${page}.js`)}"></script>
  </body>
</html>`;
}

function escape(text: string): string {
  return text.replace(/[&<>"']/g, (character) => `&#${character.charCodeAt(0)};`);
}
