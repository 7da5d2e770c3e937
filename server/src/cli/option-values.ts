import { parseArgs, type ParseArgsConfig } from 'node:util';
import { InputError } from '../errors';
import { typedPath, type TypedPath } from './paths';

/** Of counts that have no other bound. */
export const LARGEST = Number.MAX_SAFE_INTEGER;

export type OptionValues = Readonly<Record<string, string | boolean | (string | boolean)[] | undefined>>;

export interface Parsed {
  readonly values: OptionValues;
  readonly positionals: readonly string[];
}

export function parse(
  argv: readonly string[],
  command: string,
  options: NonNullable<ParseArgsConfig['options']>,
): Parsed {
  try {
    return parseArgs({
      args: [...argv],
      options: { ...options, help: { type: 'boolean', short: 'h' } },
      allowPositionals: true,
    });
  } catch (error) {
    throw new InputError(`${usageProblem(error as Error)}; see pruning-limit ${command} --help`);
  }
}

/** What `parseArgs` says, in our words: its own are several sentences, and differ between versions. */
function usageProblem({ message }: Error): string {
  const [, option] = /'(?:-\w, )?(--?[^' ]+)/.exec(message) ?? [];
  if (option === undefined) return message.split('\n', 1)[0]!;
  if (message.startsWith('Unknown option')) return `unknown option: ${option}`;
  return message.includes('does not take an argument') ? `${option} takes no value` : `${option} needs a value`;
}

export function onlyFile(positionals: readonly string[], command: string): TypedPath {
  const [file, ...more] = positionals;
  if (file !== undefined && file !== '' && more.length === 0) return typedPath(file);
  const problem = more.length === 0 ? 'no checkpoint' : `more than one checkpoint: ${positionals.join(', ')}`;
  throw new InputError(`${problem}; the usage is pruning-limit ${command} FILE`);
}

export function pathOption(text: string | undefined, name: string): TypedPath | undefined {
  if (text === '') throw new InputError(`${name} takes a path, not an empty text`);
  return text === undefined ? undefined : typedPath(text);
}

function toNumber(text: string | undefined, name: string, fallback: number, low: number, high: number): number {
  if (text === undefined) return fallback;
  const value = text.trim() === '' ? NaN : Number(text);
  if (!Number.isFinite(value)) throw new InputError(`${name} takes a number, not ${JSON.stringify(text)}`);
  if (value < low || value > high) {
    const range = high < LARGEST ? `${low} to ${high}` : low === Number.MIN_VALUE ? 'above 0' : `${low} or more`;
    throw new InputError(`${name} out of range: ${text}; give ${range}`);
  }
  return value;
}

export function choice<T extends string, F extends T | undefined>(
  text: string | undefined,
  name: string,
  allowed: readonly T[],
  fallback: F,
): T | F {
  if (text === undefined) return fallback;
  if ((allowed as readonly string[]).includes(text)) return text as T;
  throw new InputError(`${name} is one of ${allowed.join(', ')}, not ${JSON.stringify(text)}`);
}

/** Typed access to the values of a command's options. */
export class Values<Name extends string> {
  constructor(private readonly values: OptionValues) {}

  text(name: Name): string | undefined {
    return this.values[name] as string | undefined;
  }

  flag(name: Name): boolean {
    return this.values[name] === true;
  }

  /** @throws InputError when it is no number between `low` and `high` */
  number(name: Name, fallback: number, low: number, high = Infinity): number {
    return toNumber(this.text(name), `--${name}`, fallback, low, high);
  }

  /** @throws InputError when it is no whole number between `low` and `high` */
  integer(name: Name, fallback: number, low: number, high = LARGEST): number {
    const value = this.number(name, fallback, low, high);
    if (!Number.isInteger(value)) throw new InputError(`--${name} takes a whole number, not ${this.text(name)}`);
    return value;
  }
}
