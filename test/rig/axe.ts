import { readFileSync } from 'node:fs';
import { resolve } from 'node:path';
import type { Frame } from 'playwright-core';

interface Violation {
  readonly id: string;
  readonly help: string;
  readonly nodes: readonly { readonly target: readonly string[]; readonly failureSummary?: string }[];
}

let source: string | undefined;

/** What axe-core finds wrong with a webview's page, a line each. */
export async function accessibilityProblems(frame: Frame): Promise<string[]> {
  source ??= readFileSync(resolve('node_modules/axe-core/axe.min.js'), 'utf8');
  // Run by the debugger: the page's own policy lets no other script in.
  await frame.evaluate(source);
  const violations = await frame.evaluate<readonly Violation[]>(
    `axe.run(document, { resultTypes: ['violations'] }).then(({ violations }) => violations)`,
  );
  return violations.flatMap(({ id, help, nodes }) =>
    nodes.map(({ target, failureSummary }) => `${id} (${help}): ${target.join(' ')} ${failureSummary ?? ''}`),
  );
}
