import { mkdirSync } from 'node:fs';
import { join, resolve } from 'node:path';
import type { Frame, Locator, Page } from 'playwright-core';

/** How long anything in the workbench may take, in milliseconds. */
const PATIENCE = 45_000;

/** Themes of VS Code, with the class of the workbench in each. */
export const THEMES = {
  'Dark Modern': 'vs-dark',
  'Light Modern': 'vs',
  'Dark High Contrast': 'hc-black',
  'Light High Contrast': 'hc-light',
} as const;

/** The workbench as a user drives it. Everything waits for what it is about to use. */
export class Workbench {
  readonly errors: string[] = [];

  constructor(readonly page: Page) {
    page.setDefaultTimeout(PATIENCE);
    page.on('console', (message) => {
      // What the page's security policy blocked, and what broke in a webview's script.
      if (/Content Security Policy/i.test(message.text()) && /nonce|style|script/i.test(message.text())) {
        this.errors.push(message.text());
      }
    });
    page.on('pageerror', (error) => {
      if (error.stack?.includes('panel.js')) this.errors.push(String(error.stack));
    });
  }

  async open(url: string): Promise<void> {
    await this.page.goto(url);
    await this.page.locator('.explorer-folders-view .monaco-list-row').first().waitFor();
  }

  /** Runs a command by its title. */
  async run(title: string): Promise<void> {
    const input = this.page.locator('.quick-input-widget input[type="text"]');
    const row = this.page.locator('.quick-input-list .monaco-list-row').filter({ hasText: title }).first();
    // A webview that gets the focus at that moment swallows the key, or closes the palette again.
    await until(`the command "${title}"`, async () => {
      try {
        if (!(await input.isVisible())) await this.page.keyboard.press('F1');
        await input.fill(`>${title}`, { timeout: 1000 });
        await row.click({ timeout: 3000 });
        return true;
      } catch {
        // Its list is made when it opens: a command that is not known by then never comes into it.
        await this.page.keyboard.press('Escape');
        return false;
      }
    });
  }

  /** A row of the explorer, its folders unfolded on the way. */
  async file(...path: string[]): Promise<Locator> {
    let row: Locator | undefined;
    for (const [depth, name] of path.entries()) {
      row = this.page.locator('.explorer-folders-view .monaco-list-row').filter({ hasText: name }).first();
      await row.waitFor();
      if (depth < path.length - 1) await this.unfold(row, true);
    }
    return row!;
  }

  /**
   * Unfolds a folder of the explorer, or folds it. A click on a list that moves
   * meanwhile misses its row, so the row is asked afterwards and clicked again.
   */
  async unfold(row: Locator, open: boolean): Promise<void> {
    const isSo = async () => (await row.getAttribute('aria-expanded')) === String(open);
    await until(`a folder to be ${open ? 'unfolded' : 'folded'}`, async () => {
      if (await isSo()) return true;
      await row.click();
      return until('the click to do it', isSo, 5000).then(
        () => true,
        () => false,
      );
    });
  }

  /**
   * Opens the context menu of a row and returns one of its items. A menu opened
   * before the extension is known does not have it yet, or has it disabled where the
   * window does not know yet that it is trusted, and is opened again.
   */
  async menuItem(row: Locator, title: string, state: 'enabled' | 'any' = 'any'): Promise<Locator> {
    const menu = this.page.locator('.monaco-menu');
    const item = menu
      .locator(state === 'any' ? '.action-item' : '.action-item:not(.disabled)')
      .filter({ hasText: title })
      .first();
    const deadline = Date.now() + PATIENCE;
    for (;;) {
      await row.click({ button: 'right' });
      await menu.first().waitFor();
      if ((await item.count()) > 0 || Date.now() > deadline) break;
      await this.page.keyboard.press('Escape');
      await menu.first().waitFor({ state: 'detached' });
    }
    await item.waitFor();
    return item;
  }

  /** Chooses an item of a row's context menu. A menu takes no click in its first moments, so it is clicked until it goes. */
  async choose(row: Locator, title: string): Promise<void> {
    const item = await this.menuItem(row, title, 'enabled');
    await until(`the menu to take "${title}"`, async () => {
      await item.click({ timeout: 1000 }).catch(() => undefined);
      return (await item.count()) === 0;
    });
  }

  /** Chooses a row of the open quick pick, once it asks this. */
  async pick(question: string, answer: string | RegExp): Promise<void> {
    await this.page.locator(`.quick-input-widget input[placeholder*="${question}"]`).waitFor();
    await this.page.locator('.quick-input-list .monaco-list-row').filter({ hasText: answer }).first().click();
  }

  /** Walks VS Code's own file dialog, which opens in `from`, from row to row and accepts where it arrives. */
  async chooseFolder(from: string, ...rows: string[]): Promise<void> {
    const dialog = this.page.locator('.quick-input-widget');
    const accept = dialog.locator('.quick-input-action .monaco-button').first();
    const input = dialog.locator('input[type="text"]');
    let folder = from;
    // The dialog writes the path of a folder when it has read it.
    const arrived = () =>
      until(`the file dialog in ${folder}`, async () => (await input.inputValue()) === `${folder}/`);
    await accept.waitFor();
    await arrived();
    for (const name of rows) {
      await dialog.locator('.quick-input-list .monaco-list-row').filter({ hasText: name }).first().click();
      folder = join(folder, name);
      await arrived();
    }
    await accept.click();
  }

  /** Types a path into VS Code's own save dialog and accepts it. */
  async saveAs(path: string): Promise<void> {
    const dialog = this.page.locator('.quick-input-widget');
    const accept = dialog.locator('.quick-input-action .monaco-button').first();
    const input = dialog.locator('input[type="text"]');
    await accept.waitFor();
    // The dialog writes its proposal when it has read the folder, over whatever was typed before.
    await until('the proposed name', async () => /[^/]$/.test(await input.inputValue()));
    await until('the typed path', async () => {
      await input.fill(path);
      await this.page.waitForTimeout(500);
      return (await input.inputValue()) === path;
    });
    await accept.click();
  }

  /** The webview that holds an element; webviews are two frames deep. */
  async webview(selector: string): Promise<Frame> {
    let found: Frame | undefined;
    await until(`a webview with ${selector}`, async () => {
      for (const frame of this.page.frames()) {
        // A frame may go while it is asked.
        const count = frame.locator(selector).count();
        if ((await count.catch(() => 0)) > 0) found = frame;
      }
      return found !== undefined;
    });
    return found!;
  }

  /** Scrolls to an element, which may be drawn anew meanwhile. */
  async scrollTo(element: Locator): Promise<void> {
    await until('an element to scroll to', () =>
      element.scrollIntoViewIfNeeded({ timeout: 2000 }).then(
        () => true,
        () => false,
      ),
    );
  }

  async theme(name: keyof typeof THEMES): Promise<void> {
    await this.run('Preferences: Color Theme');
    await this.page.locator('.quick-input-widget input[type="text"]').fill(name);
    await this.page.locator('.quick-input-list .monaco-list-row').filter({ hasText: name }).first().click();
    await this.page.locator('.quick-input-widget').waitFor({ state: 'hidden' });
    await this.page.locator(`.monaco-workbench.${THEMES[name]}`).waitFor();
  }

  async closeNotifications(): Promise<void> {
    await this.run('Notifications: Clear All Notifications');
  }

  async screenshot(name: string): Promise<void> {
    const folder = resolve('out/screenshots');
    mkdirSync(folder, { recursive: true });
    await this.page.screenshot({ path: join(folder, `${name}.png`) });
  }
}

/** Asks until it is so. */
export async function until(what: string, isSo: () => boolean | Promise<boolean>, timeout = PATIENCE): Promise<void> {
  const deadline = Date.now() + timeout;
  while (!(await isSo())) {
    if (Date.now() > deadline) throw new Error(`waited in vain for ${what}`);
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
}
