import { chromium, type Browser } from 'playwright-core';
import { rigPaths } from './code-server';

export function launchBrowser(): Promise<Browser> {
  return chromium.launch({
    executablePath: rigPaths().chromium,
    args: [
      '--no-sandbox',
      '--disable-gpu',
      '--disable-quic',
      '--no-first-run',
      '--disable-background-networking',
      '--disable-component-update',
      '--disable-sync',
    ],
  });
}
