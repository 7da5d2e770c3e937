/** The installed package in a whole VS Code, from the right-click to the answer, as a user sees it. */
import assert from 'node:assert/strict';
import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, before, describe, it } from 'node:test';
import type { Browser, Frame, Locator, Page } from 'playwright-core';
import { launchBrowser } from '../rig/browser';
import { CodeServer } from '../rig/code-server';
import { until, Workbench } from '../rig/workbench';
import { sampleWorkspace, SLOW, WEAK_LAYER, type Workspace } from '../rig/workspace';

const vsix = process.env['PRUNING_LIMIT_VSIX']!;

describe('installed extension', { timeout: 480_000 }, () => {
  let workspace: Workspace;
  let server: CodeServer;
  let browser: Browser;
  let workbench: Workbench;

  before(async () => {
    workspace = sampleWorkspace();
    server = await CodeServer.start({
      extensions: [vsix],
      settings: { 'workbench.colorTheme': 'Default Dark Modern' },
    });
    browser = await launchBrowser();
    const context = await browser.newContext({ viewport: { width: 1440, height: 1000 }, reducedMotion: 'reduce' });
    workbench = new Workbench(await context.newPage());
    await workbench.open(`${server.url}/?folder=${encodeURIComponent(workspace.folder)}`);
  });
  after(async () => {
    await browser?.close();
    server?.stop();
    workspace?.remove();
  });

  // The steps build on each other: after one that failed, the others say so at once.
  let broken: string | undefined;
  const step = (title: string, body: () => Promise<void> | void) =>
    it(title, { timeout: 240_000 }, async () => {
      if (broken !== undefined) throw new Error(`not reached: "${broken}" failed`);
      try {
        await body();
      } catch (error) {
        broken = title;
        await workbench.screenshot('failed');
        throw error;
      }
    });

  const file = (name: string) => workbench.file('models', name);
  const panel = (name = 'digits.onnx') => workbench.webview(`#app[data-name$="${name}"]`);
  const compute = async (name = 'digits.onnx') => workbench.choose(await file(name), 'Compute Pruning Limit');
  /** Cancels the running analysis by a button; milliseconds from the click until the panel says so. */
  const cancelBy = async (button: Locator, page: Page | Frame) => {
    const frame = await panel();
    await frame.locator('.bar[aria-valuenow]').waitFor();
    // Timed inside the pages: what the driver does around a click is not the product's.
    await page.evaluate(`document.addEventListener('click', (event) => {
      window.clickedAt = performance.timeOrigin + event.timeStamp;
    }, { capture: true, once: true })`);
    await frame.evaluate(`void (window.told = new Promise((resolve) => {
      const notice = document.querySelector('.notice');
      new MutationObserver((_, observer) => {
        if (notice.hidden || !notice.textContent.startsWith('Cancelled')) return;
        observer.disconnect();
        resolve(performance.timeOrigin + performance.now());
      }).observe(notice, { attributes: true, childList: true });
    }))`);
    await button.click();
    const told = await frame.evaluate<number>('window.told');
    return told - (await page.evaluate<number>('window.clickedAt'));
  };

  step('shows layers but runs no model in a folder that is not trusted', async () => {
    await workbench.page.locator('.statusbar-item').filter({ hasText: 'Restricted Mode' }).waitFor();
    const item = await workbench.menuItem(await file('digits.onnx'), 'Compute Pruning Limit');
    assert.match((await item.getAttribute('class')) ?? '', /disabled/);
    await workbench.screenshot('01-untrusted-menu');
    await workbench.page.keyboard.press('Escape');
    await workbench.choose(await file('digits.onnx'), 'Show Layers');
    await workbench.page.locator('.view-line').filter({ hasText: 'not computed yet' }).waitFor();
    await workbench.screenshot('02-untrusted-layers');
    await workbench.run('View: Show Pruning Limit');
    const welcome = workbench.page.locator('.sidebar .welcome-view-content');
    await welcome.filter({ hasText: 'computed in trusted folders only' }).waitFor();
    await workbench.screenshot('02-untrusted-runs');
    await workbench.run('View: Show Explorer');
    await workbench.run('Workspaces: Manage Workspace Trust');
    await workbench.page.locator('.workspace-trust-editor').getByRole('button', { name: 'Trust', exact: true }).click();
    await workbench.page.locator('.workspace-trust-editor').filter({ hasText: 'You trust this folder' }).waitFor();
    await workbench.run('View: Close All Editors');
  });

  step('asks for the data once and writes the answers down', async () => {
    await compute();
    const pick = workbench.page.locator('.quick-input-widget');
    await pick.filter({ hasText: '1/4' }).waitFor();
    await workbench.screenshot('03-wizard-data');
    await workbench.pick('Where are the samples?', 'Choose a folder…');
    await workbench.chooseFolder(join(workspace.folder, 'models'), '..', 'data');
    await workbench.pick('Which part of the data?', /^Test/);
    await workbench.pick('How are raw values scaled?', 'Divide by 255');
    await workbench.page.locator('.quick-input-widget input[placeholder*="normalised"]').waitFor();
    await workbench.screenshot('04-wizard-normalisation');
    // One step back and forth again: answers can be changed.
    await workbench.page.locator('.quick-input-widget .codicon-quick-input-back').click();
    await workbench.pick('How are raw values scaled?', 'Leave as they are');
    await workbench.pick('How are they normalised?', 'MNIST');
    const written = workbench.page.locator('.notification-toast').filter({ hasText: 'pruning-limit.json' });
    await written.waitFor();
    const file = join(workspace.folder, 'pruning-limit.json');
    assert.deepEqual(JSON.parse(readFileSync(file, 'utf8')), {
      analyses: [
        {
          checkpoint: 'models/*.onnx',
          data: {
            path: 'data',
            split: 'test',
            scale: 1,
            normalize: { mean: [0.1307], deviation: [0.3081] },
            layout: 'auto',
          },
        },
      ],
    });
    await (await panel()).locator('h1').filter({ hasText: 'digits.onnx' }).waitFor();
    // Whatever became of the first run, the next test starts from rest.
    await workbench.run('Pruning Limit: Show Output');
    await (
      await panel()
    )
      .getByRole('button', { name: /^Compute/ })
      .or((await panel()).getByRole('button', { name: 'Cancel' }))
      .waitFor();
    const cancel = (await panel()).getByRole('button', { name: 'Cancel' });
    if (await cancel.isVisible()) await cancel.click();
    await (await panel()).getByRole('button', { name: /^Compute/ }).waitFor();
    await workbench.run('View: Close All Editors');
    await workbench.run('View: Hide Panel');
    await workbench.closeNotifications();
  });

  step('cancels within a second', async () => {
    workspace.configure(SLOW, { samples: 'all' });
    await compute();
    const frame = await panel();
    await frame.locator('.bar[aria-valuenow]').waitFor();
    const status = workbench.page.locator('.statusbar-item').filter({ hasText: 'Pruning limit' });
    await status.waitFor();
    const toast = workbench.page.locator('.notification-toast').filter({ hasText: 'Pruning limit of digits.onnx' });
    await toast.waitFor();
    await workbench.screenshot('05-running');
    const fromPanel = await cancelBy(frame.getByRole('button', { name: 'Cancel' }), frame);
    assert.ok(fromPanel < 1000, `${fromPanel} ms from the panel`);
    await toast.waitFor({ state: 'detached' });
    await status.waitFor({ state: 'detached' });
    await workbench.screenshot('06-cancelled');
    await compute();
    await toast.waitFor();
    const fromToast = await cancelBy(toast.getByRole('button', { name: 'Cancel' }), workbench.page);
    assert.ok(fromToast < 1000, `${fromToast} ms from the notification`);
  });

  step('shows progress and then the limit with its interval', async () => {
    workspace.configure({ tolerance: 0.02, minutes: 2 });
    await compute();
    const frame = await panel();
    const bar = frame.locator('.bar[aria-valuenow]');
    const seen = new Set<string>();
    // The button is there from the run before until this one has begun.
    await bar.waitFor();
    const ended = frame.getByRole('button', { name: 'Compute Again' }).waitFor({ timeout: 180_000 });
    let over = false;
    void ended.then(() => (over = true));
    let live = false;
    while (!over) {
      const value = await bar.getAttribute('aria-valuenow', { timeout: 1000 }).catch(() => null);
      if (value !== null) seen.add(value);
      if (!live && (await frame.locator('.convergence svg').isVisible())) {
        live = true;
        await workbench.screenshot('07-live');
      }
    }
    await ended;
    assert.ok(seen.size > 2, `progress: ${[...seen].join(', ')}`);
    // The drawing follows the buttons.
    const drawn = frame.locator('.headline').filter({ hasNotText: 'So far' });
    await drawn.waitFor();
    const headline = await drawn.innerText();
    assert.match(headline, /^(Can be pruned to [\d.]+ % \([\d.]+–[\d.]+ %\)|Unresolved: between [\d.]+ and [\d.]+ %)$/);
    for (const name of ['limit', 'loss', 'accuracy', 'layers', 'spectrum']) {
      await frame.locator(`.figure.${name} svg[aria-label]`).first().waitFor();
    }
    await workbench.page
      .locator('.notification-toast')
      .filter({ hasText: 'Pruning limit of' })
      .waitFor({ state: 'detached' });
    await workbench.screenshot('08-result-dark');
    const table = frame.locator('.figure.loss details');
    await table.locator('summary').click();
    await table.locator('table tbody tr').first().waitFor();
    await workbench.scrollTo(table.locator('summary'));
    await workbench.screenshot('09-result-dark-table');
    await table.locator('summary').click();
    await workbench.scrollTo(frame.locator('.figure.layers'));
    await workbench.screenshot('10-result-dark-layers');
    await workbench.scrollTo(frame.locator('h1'));
  });

  step('warns of a layer that would vanish, in the panel and in the problems', async () => {
    workspace.configure({ tolerance: 0.05, minutes: 2 }, { samples: 500 });
    await compute('weak.onnx');
    const frame = await panel('weak.onnx');
    await frame.getByRole('button', { name: 'Compute Again' }).waitFor({ timeout: 180_000 });
    const warnings = await frame.locator('.warnings li > span:nth-child(2)').allInnerTexts();
    const vanishes = warnings.find((text) => text.includes(`${WEAK_LAYER} vanishes`));
    assert.ok(vanishes !== undefined, warnings.join('\n'));
    await workbench.run('View: Focus Problems');
    const rows = workbench.page.locator('.markers-panel .monaco-list-row');
    for (const text of warnings)
      await rows
        .filter({ hasText: text.slice(0, 60) })
        .first()
        .waitFor();
    const row = rows.filter({ hasText: vanishes.slice(0, 60) }).first();
    await row.locator('.codicon-warning').waitFor();
    await workbench.screenshot('11-problems');
    await row.dblclick();
    await workbench.page.locator('.view-line').filter({ hasText: WEAK_LAYER }).first().waitFor();
    await workbench.run('View: Hide Panel');
  });

  step('writes the layer summary with hints and lenses', async () => {
    await workbench.run('View: Close All Editors');
    await workbench.choose(await file('weak.onnx'), 'Show Layers');
    await workbench.page.locator('.codelens-decoration').filter({ hasText: 'Compute Again' }).waitFor();
    await workbench.page.locator('.view-line').filter({ hasText: 'of kept weights' }).first().waitFor();
    const line = workbench.page.locator('.view-line').filter({ hasText: WEAK_LAYER }).last();
    await line.filter({ hasText: 'vanishes at the limit' }).waitFor();
    await workbench.screenshot('12-layers-dark');
    await line.hover({ position: { x: 12, y: 9 } });
    await workbench.page.locator('.monaco-hover').filter({ hasText: 'kept at the limit' }).first().waitFor();
    await workbench.screenshot('12-layers-dark-hover');
  });

  step('exports a drawing that stands for itself', async () => {
    await workbench.choose(await file('digits.onnx'), 'Show Limit');
    const target = join(workspace.folder, 'limit.svg');
    await (await panel()).getByRole('button', { name: 'Export Limit as SVG' }).click();
    await workbench.saveAs(target);
    await until('the drawing', () => existsSync(target) && readFileSync(target, 'utf8').includes('</svg>'));
    const svg = readFileSync(target, 'utf8');
    assert.match(svg, /^<svg [^>]*xmlns="http:\/\/www\.w3\.org\/2000\/svg"/);
    assert.doesNotMatch(svg, /var\(--pl|vscode|nonce/);
    const data = join(workspace.folder, 'layers.csv');
    await (await panel()).getByRole('button', { name: 'Export Layers as CSV' }).click();
    await workbench.saveAs(data);
    await until('the table', () => existsSync(data) && readFileSync(data).length > 0);
    assert.match(readFileSync(data, 'utf8'), /^layer,operator,shape,weights,/);
    writeFileSync(join('out', 'screenshots', 'exported-limit.svg'), svg);
  });

  step('shows the same panel after the window was reloaded', async () => {
    const headline = await (await panel()).locator('.headline').innerText();
    await workbench.run('Developer: Reload Window');
    await workbench.page.locator('.explorer-folders-view .monaco-list-row').first().waitFor();
    const frame = await panel();
    await frame.locator('.figure.limit svg').first().waitFor();
    assert.equal(await frame.locator('.headline').innerText(), headline);
    await frame.getByRole('button', { name: 'Compute Again' }).waitFor();
  });

  step('goes on with an analysis after the window was reloaded', async () => {
    workspace.configure(SLOW, { samples: 'all' });
    await compute();
    await (await panel()).locator('.bar[aria-valuenow]').waitFor();
    await workbench.run('Developer: Reload Window');
    await workbench.page.locator('.explorer-folders-view .monaco-list-row').first().waitFor();
    const begin = Date.now();
    const toast = workbench.page.locator('.notification-toast').filter({ hasText: 'Pruning limit of digits.onnx' });
    await toast.waitFor();
    await (await panel()).locator('.bar[aria-valuenow]').waitFor();
    // From the first row of the explorer on, the start of the extension included.
    console.log(`resumed and drawn after ${Date.now() - begin} ms`);
  });

  step('lists running and past runs, and renames, compares and deletes them', async () => {
    const { page } = workbench;
    await workbench.run('View: Show Pruning Limit');
    const rows = page.locator('.sidebar .monaco-list-row');
    await rows.filter({ hasText: 'digits.onnx' }).filter({ hasText: /\d+ %/ }).first().waitFor();
    await workbench.screenshot('17-runs-running');
    const cancelled = cancelBy((await panel()).getByRole('button', { name: 'Cancel' }), await panel());
    assert.ok((await cancelled) < 1000, 'cancelled after it was resumed');
    await rows.filter({ hasText: 'cancelled' }).first().waitFor();
    const weak = rows.filter({ hasText: 'weak.onnx' }).first();
    await workbench.choose(weak, 'Rename…');
    const input = page.locator('.quick-input-widget input[type="text"]');
    await input.fill('weakened layer');
    await input.press('Enter');
    const renamed = rows.filter({ hasText: 'weakened layer' });
    await renamed.waitFor();
    await workbench.run('Pruning Limit: Compare Runs');
    const picks = page.locator('.quick-input-list .monaco-list-row');
    await picks.first().waitFor();
    await picks.filter({ hasText: 'weakened layer' }).click();
    await picks.filter({ hasText: 'digits.onnx' }).first().click();
    await page.locator('.quick-input-widget').getByRole('button', { name: 'OK' }).click();
    const comparison = await workbench.webview('.runs.several');
    await comparison.locator('.run').nth(1).locator('.figure.limit svg').first().waitFor();
    assert.equal(await comparison.locator('.comparison tbody tr').count(), 2);
    await workbench.closeNotifications();
    await workbench.screenshot('18-runs-compared');
    await renamed.click();
    const report = await workbench.webview('.runs.single');
    await report.locator('.figure.limit svg').first().waitFor();
    await workbench.screenshot('19-run-report');
    const before = await rows.filter({ hasText: 'cancelled' }).count();
    await workbench.choose(rows.filter({ hasText: 'cancelled' }).first(), 'Delete Runs…');
    await page.locator('.monaco-dialog-box').getByRole('button', { name: 'Delete', exact: true }).click();
    await until('the row to go', async () => (await rows.filter({ hasText: 'cancelled' }).count()) === before - 1);
    await workbench.run('View: Show Explorer');
  });

  step('answers the same question from the cache', async () => {
    await workbench.run('View: Close All Editors');
    workspace.configure({ tolerance: 0.05, minutes: 2 }, { samples: 500 });
    await compute('weak.onnx');
    const frame = await panel('weak.onnx');
    await frame.locator('.facts').filter({ hasText: 'From the cache' }).waitFor();
    await frame.getByRole('button', { name: 'Compute Again' }).waitFor();
    await workbench.scrollTo(frame.locator('.facts'));
    await workbench.screenshot('20-from-the-cache');
    const target = join(workspace.folder, 'limit.png');
    await frame.getByRole('button', { name: 'Export Limit as PNG' }).click();
    await workbench.saveAs(target);
    await until('the picture', () => existsSync(target) && readFileSync(target).length > 0);
    assert.deepEqual([...readFileSync(target).subarray(0, 4)], [0x89, 0x50, 0x4e, 0x47]);
    writeFileSync(join('out', 'screenshots', 'exported-limit.png'), readFileSync(target));
    await workbench.run('View: Close All Editors');
    await workbench.choose(await file('digits.onnx'), 'Show Limit');
  });

  step('writes what becomes of a layer beside the Python that makes it', async () => {
    const layers = ['conv1', 'conv2', 'conv3'].map((name) => `        self.${name} = nn.Conv2d(8, 16, 3)`);
    const heads = ['fc1', 'fc2'].map((name) => `        self.${name} = nn.Linear(128, 32)`);
    const source = ['import torch.nn as nn', '', '', 'class Digits(nn.Module):', '    def __init__(self):'];
    writeFileSync(join(workspace.folder, 'network.py'), [...source, ...layers, ...heads, ''].join('\n'));
    await (await workbench.file('network.py')).dblclick();
    const line = workbench.page.locator('.view-line').filter({ hasText: 'fc1' });
    await line.filter({ hasText: 'of kept weights' }).waitFor();
    await line.getByText('Linear').hover();
    await workbench.page.locator('.monaco-hover').filter({ hasText: 'kept at the limit' }).first().waitFor();
    await workbench.screenshot('21-python');
    await workbench.run('View: Close All Editors');
    await workbench.choose(await file('weak.onnx'), 'Show Layers');
    await workbench.page
      .locator('.view-line')
      .filter({ hasText: 'fc1.weight' })
      .first()
      .click({ position: { x: 12, y: 9 } });
    await workbench.run('Go to Definition');
    await workbench.page.locator('.tab.active').filter({ hasText: 'network.py' }).waitFor();
    await workbench.run('View: Close All Editors');
    await workbench.choose(await file('digits.onnx'), 'Show Limit');
  });

  step('is readable in light and high contrast', async () => {
    for (const [name, file] of [
      ['Light Modern', 'light'],
      ['Dark High Contrast', 'high-contrast'],
      ['Light High Contrast', 'high-contrast-light'],
    ] as const) {
      await workbench.theme(name);
      const frame = await panel();
      await frame.locator('.figure.limit svg').first().waitFor();
      await workbench.closeNotifications();
      await workbench.screenshot(`13-result-${file}`);
      await workbench.scrollTo(frame.locator('.figure.layers'));
      await workbench.screenshot(`14-result-${file}-layers`);
      await workbench.scrollTo(frame.locator('h1'));
    }
    await workbench.run('View: Close All Editors');
    await workbench.choose(await file('weak.onnx'), 'Show Layers');
    await workbench.page.locator('.view-line').filter({ hasText: 'of kept weights' }).first().waitFor();
    await workbench.page.locator('.codelens-decoration').filter({ hasText: 'Compute Again' }).waitFor();
    await workbench.screenshot('15-layers-high-contrast-light');
    await workbench.theme('Light Modern');
    await workbench.screenshot('16-layers-light');
  });

  step('breaks no rule of its own page', () => {
    assert.deepEqual(workbench.errors, []);
  });
});
