import { t } from '@vscode/l10n';
import * as vscode from 'vscode';
import { NORMALIZATION_PRESETS } from '../../protocol/presets';
import { nameOf } from './checkpoint';
import { addAnalysis, entryFor, type Answers } from './wizard-file';

type Normalize = Answers['normalize'];

interface Choice<T> extends vscode.QuickPickItem {
  /** The answer, or how to find it; undefined from it asks again. */
  readonly answer: () => T | undefined | Thenable<T | undefined>;
}

class Cancelled extends Error {}
class Back extends Error {}

/**
 * Asks once what the analysis file must know of a checkpoint and writes it.
 * Everything it does not ask has a default that the file's schema explains.
 *
 * @returns the analysis file, or undefined when the user gave up
 */
export async function runWizard(checkpoint: vscode.Uri, existing: string | null): Promise<vscode.Uri | undefined> {
  const answers: { path?: vscode.Uri; split?: Answers['split']; scale?: number; normalize?: Normalize } = {};
  const title = t('Pruning limit of {0}', nameOf(checkpoint));
  const steps: ((step: number) => Promise<void>)[] = [
    async (step) =>
      void (answers.path = await ask(title, t('Where are the samples?'), step, await dataChoices(checkpoint))),
    async (step) => void (answers.split = await ask(title, t('Which part of the data?'), step, splitChoices)),
    async (step) => void (answers.scale = await ask(title, t('How are raw values scaled?'), step, scaleChoices)),
    async (step) => void (answers.normalize = await ask(title, t('How are they normalised?'), step, normalizeChoices)),
  ];
  for (let step = 0; step < steps.length;) {
    try {
      await steps[step]!(step);
      step++;
    } catch (error) {
      if (error instanceof Cancelled) return undefined;
      if (!(error instanceof Back)) throw error;
      step--;
    }
  }
  const file = existing === null ? fileFor(checkpoint) : vscode.Uri.file(existing);
  const entry = entryFor(file.fsPath, checkpoint.fsPath, {
    path: answers.path!.fsPath,
    split: answers.split!,
    scale: answers.scale!,
    normalize: answers.normalize,
  });
  const text = existing === null ? undefined : new TextDecoder().decode(await vscode.workspace.fs.readFile(file));
  await vscode.workspace.fs.writeFile(file, new TextEncoder().encode(addAnalysis(text, entry)));
  return file;
}

const STEPS = 4;

function ask<T>(title: string, question: string, step: number, choices: readonly Choice<T>[]): Promise<T> {
  return new Promise((resolve, reject) => {
    const pick = vscode.window.createQuickPick<Choice<T>>();
    pick.title = title;
    pick.step = step + 1;
    pick.totalSteps = STEPS;
    pick.placeholder = question;
    pick.items = choices;
    pick.ignoreFocusOut = true;
    pick.matchOnDescription = true;
    if (step > 0) pick.buttons = [vscode.QuickInputButtons.Back];
    let answering = false;
    pick.onDidTriggerButton(() => {
      reject(new Back());
      pick.dispose();
    });
    pick.onDidAccept(async () => {
      const [choice] = pick.selectedItems;
      if (!choice || answering) return;
      answering = true;
      try {
        const answer = await choice.answer();
        answering = false;
        if (answer === undefined) {
          pick.show();
          return;
        }
        resolve(answer);
      } catch (error) {
        reject(error instanceof Error ? error : new Error(String(error)));
      }
      pick.dispose();
    });
    pick.onDidHide(() => {
      // A dialog of the answer covers the question; giving that up leads back here.
      if (answering) return;
      reject(new Cancelled());
      pick.dispose();
    });
    pick.show();
  });
}

async function dataChoices(checkpoint: vscode.Uri): Promise<Choice<vscode.Uri>[]> {
  const found = await detectData(checkpoint);
  const near = found.map((uri): Choice<vscode.Uri> => ({
    label: vscode.workspace.asRelativePath(uri),
    description: t('looks like data'),
    iconPath: new vscode.ThemeIcon('database'),
    answer: () => uri,
  }));
  const browse = (label: string, icon: string, folder: boolean): Choice<vscode.Uri> => ({
    label,
    iconPath: new vscode.ThemeIcon(icon),
    answer: async () =>
      (
        await vscode.window.showOpenDialog({
          title: t('Samples'),
          openLabel: t('Use'),
          defaultUri: vscode.Uri.joinPath(checkpoint, '..'),
          canSelectFolders: folder,
          canSelectFiles: !folder,
        })
      )?.[0],
  });
  return [...near, browse(t('Choose a folder…'), 'folder-opened', true), browse(t('Choose a file…'), 'file', false)];
}

/** Folders that hold files of a known data set format, the nearest to the checkpoint first. */
async function detectData(checkpoint: vscode.Uri): Promise<vscode.Uri[]> {
  const files = await vscode.workspace.findFiles(
    '**/{*-ubyte,*-ubyte.gz,*.npy,*.npz,data_batch_1.bin,test_batch.bin,train.bin,test.bin}',
    '**/node_modules/**',
    100,
  );
  const folders = new Map(files.map((file) => vscode.Uri.joinPath(file, '..')).map((uri) => [uri.toString(), uri]));
  const start = vscode.Uri.joinPath(checkpoint, '..').path;
  const distance = ({ path }: vscode.Uri) => (path.startsWith(start) ? 0 : 1000) + path.split('/').length;
  return [...folders.values()].sort((a, b) => distance(a) - distance(b)).slice(0, 5);
}

const splitChoices: Choice<Answers['split']>[] = [
  {
    label: t('Test'),
    description: t('the samples held back from training, or all where there is only one part'),
    answer: () => 'test',
  },
  { label: t('Train'), description: t('the samples the network was trained on'), answer: () => 'train' },
];

const scaleChoices: Choice<number>[] = [
  { label: t('Divide by 255'), description: t('bytes become numbers from 0 to 1'), answer: () => 255 },
  { label: t('Leave as they are'), description: t('the stored numbers are the input'), answer: () => 1 },
  {
    label: t('Divide by another number…'),
    answer: async () => {
      const text = await vscode.window.showInputBox({
        prompt: t('Raw values are divided by'),
        validateInput: (value) => (Number(value) > 0 ? undefined : t('A number above 0')),
      });
      return text === undefined ? undefined : Number(text);
    },
  },
];

const normalizeChoices: Choice<Normalize>[] = [
  { label: t('Not at all'), description: t('after the scale, values go in as they are'), answer: () => null },
  ...NORMALIZATION_PRESETS.map(({ label, mean, deviation }): Choice<Normalize> => ({
    label,
    description: t('mean {0}; deviation {1}', mean.join(', '), deviation.join(', ')),
    answer: () => ({ mean, deviation }),
  })),
  {
    label: t('Other values…'),
    answer: async () => {
      const mean = await numbers(t('Mean of every channel, separated by commas'), () => true);
      const deviation = mean && (await numbers(t('Deviation of every channel'), (n) => n > 0, mean.length));
      return deviation && { mean, deviation };
    },
  },
];

async function numbers(prompt: string, allowed: (n: number) => boolean, count?: number): Promise<number[] | undefined> {
  const parse = (text: string) => text.split(',').map((part) => (part.trim() === '' ? NaN : Number(part)));
  const text = await vscode.window.showInputBox({
    prompt,
    ignoreFocusOut: true,
    validateInput: (value) => {
      const values = parse(value);
      if (!values.every((n) => Number.isFinite(n) && allowed(n)))
        return t('Numbers separated by commas, such as 0.5, 0.5');
      return count === undefined || values.length === count ? undefined : t('{0} numbers, one per channel', count);
    },
  });
  return text === undefined ? undefined : parse(text);
}

/** In the folder that the workspace has open, else beside the checkpoint. */
function fileFor(checkpoint: vscode.Uri): vscode.Uri {
  const folder = vscode.workspace.getWorkspaceFolder(checkpoint)?.uri ?? vscode.Uri.joinPath(checkpoint, '..');
  return vscode.Uri.joinPath(folder, 'pruning-limit.json');
}
