/**
 * The command line. It computes nothing itself: an analysis runs in a compute
 * process, so that progress is shown and an interrupt acts at once.
 */
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { inspectCheckpoint } from './checkpoint/inspect';
import { analyzeCommand } from './cli/analyze';
import { parseCommand, type Command } from './cli/arguments';
import { doctorCommand } from './cli/doctor';
import { installCommand } from './cli/install-tensorflow';
import { fail, surviveClosedPipes, write } from './cli/output';
import { asTyped } from './cli/paths';
import { pruneCommand } from './cli/prune';
import { outputWidth } from './cli/terminal';
import { retrainCommand } from './cli/retrain';
import { trainCommand } from './cli/train';
import { toFailure } from './errors';
import { summaryJson } from './report/json';
import { inspectText } from './report/text';

async function main(): Promise<void> {
  const command = parseCommand(process.argv.slice(2));
  switch (command.kind) {
    case 'help':
      return write(command.text);
    case 'version':
      return write(`pruning-limit ${await version()}\n`);
    case 'inspect':
      return inspectCommand(command);
    case 'analyze':
      return analyzeCommand(command);
    case 'prune':
      return pruneCommand(command);
    case 'train':
      return trainCommand(command);
    case 'retrain':
      return retrainCommand(command);
    case 'install-tensorflow':
      return installCommand(command);
    case 'doctor':
      return doctorCommand(command);
  }
}

async function inspectCommand({ checkpoint, json, hash }: Extract<Command, { kind: 'inspect' }>): Promise<void> {
  try {
    const summary = await inspectCheckpoint(checkpoint.absolute, hash);
    const text = json ? summaryJson(summary) : inspectText({ ...summary, checkpoint: checkpoint.typed }, outputWidth());
    await write(text);
  } catch (error) {
    const { message, category } = toFailure(error);
    fail({ message: asTyped(message, [checkpoint]), category });
  }
}

async function version(): Promise<string> {
  const manifest = JSON.parse(await readFile(join(__dirname, '..', 'package.json'), 'utf8')) as { version: string };
  return manifest.version;
}

surviveClosedPipes();
main().catch((error: unknown) => fail(toFailure(error)));
