import { homedir } from 'node:os';
import { join } from 'node:path';

/** Where *Install TensorFlow.js* puts it for this user, for the editor and the command line alike. */
export function tensorFlowFolder(platform: NodeJS.Platform = process.platform): string {
  const data = { darwin: 'Library/Application Support', win32: 'AppData/Local' }[platform as string] ?? '.local/share';
  return join(homedir(), data, 'pruning-limit', 'tensorflow');
}
