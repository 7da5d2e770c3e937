import { readFile } from 'node:fs/promises';
import { basename, join } from 'node:path';
import type { AnalysisResult } from '../../../protocol/analysis';
import { AnalysisError } from '../errors';
import { resultJson } from './json';

/** The bundled script that draws a report, and its style. */
export interface ReportAssets {
  readonly script: string;
  readonly style: string;
}

/**
 * @param media folder with the bundled `report.js` and `report.css`
 * @throws AnalysisError when they are not there
 */
export async function openReportAssets(media: string): Promise<ReportAssets> {
  const read = async (file: string): Promise<string> => {
    try {
      return await readFile(join(media, file), 'utf8');
    } catch (error) {
      const { code } = error as NodeJS.ErrnoException;
      throw new AnalysisError(
        `report cannot be drawn: ${join(media, file)} is missing (${code}); install or build again`,
      );
    }
  };
  const [script, style] = await Promise.all([read('report.js'), read('report.css')]);
  return { script, style };
}

/**
 * A page of its own with all plots and tables: the result as JSON and the
 * script that draws it, both inside, so that it can be sent and kept. The
 * script finds the result at `#result` and fills `#app`.
 */
export function htmlReport(result: AnalysisResult, { script, style }: ReportAssets): string {
  return `<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta http-equiv="Content-Security-Policy" content="default-src 'none'; script-src 'unsafe-inline'; style-src 'unsafe-inline'; img-src data:">
<title>Pruning limit of ${escapeHtml(basename(result.checkpoint))}</title>
<style>${style.replaceAll('</style', '<\\/style')}</style>
</head>
<body>
<main id="app"></main>
<script type="application/json" id="result">${escapeJson(resultJson(result).trimEnd())}</script>
<script>${script.replaceAll('</script', '<\\/script')}</script>
</body>
</html>
`;
}

const ENTITIES: Readonly<Record<string, string>> = { '&': '&amp;', '<': '&lt;', '>': '&gt;', '"': '&quot;' };

function escapeHtml(text: string): string {
  return text.replace(/[&<>"]/g, (character) => ENTITIES[character]!);
}

/** Names in a checkpoint are hostile: nothing in them may end the script element. */
function escapeJson(json: string): string {
  return json.replaceAll('<', '\\u003c');
}
