import { existsSync } from 'node:fs';
import { readFile, stat } from 'node:fs/promises';
import { dirname, isAbsolute, join, relative, resolve, sep } from 'node:path';
import type { AnalysisOptions, DataOptions, MeasureOptions } from '../../protocol/analysis';
import { InputError } from './errors';
import { globToRegExp } from './glob';
import { DEFAULT_MEASURE, DEFAULT_OPTIONS, parseEpsilon } from './options';

/**
 * `pruning-limit.json`: which data belongs to which checkpoint, and how it is
 * analysed. Its JSON schema for the editor is `syntaxes/pruning-limit.schema.json`;
 * `analysis-file.test.ts` holds the two to each other.
 *
 * Paths and patterns in the file are relative to its folder. The first entry
 * whose pattern matches a checkpoint counts.
 */
export const ANALYSIS_FILE = 'pruning-limit.json';

/** An analysis file has a few entries of a few lines: bytes. */
export const LARGEST_ANALYSIS_FILE = 2 ** 20;
const TOO_LARGE = 'an analysis file has at most 1 MiB; delete what does not belong there';

/** Values for what an entry leaves open: the editor's settings over the defaults. */
export type OptionDefaults = Omit<AnalysisOptions, 'data'> & { readonly data: Omit<DataOptions, 'path'> };

/** Analysis files that may speak of a checkpoint, the nearest first: its own folder, then upwards to `root`. */
export function analysisFilesFor(checkpoint: string, root?: string): string[] {
  const files: string[] = [];
  for (let folder = dirname(checkpoint); ; folder = dirname(folder)) {
    const file = join(folder, ANALYSIS_FILE);
    if (existsSync(file)) files.push(file);
    const inside = root !== undefined && folder !== root && !relative(root, folder).startsWith('..');
    if (!inside || folder === dirname(folder)) return files;
  }
}

/**
 * Options for a checkpoint from the text of an analysis file, or null when no
 * entry matches it.
 *
 * @throws {InputError} naming the file and the property that is wrong
 */
export function optionsFromText(
  text: string,
  file: string,
  checkpoint: string,
  defaults: OptionDefaults = DEFAULT_OPTIONS,
): AnalysisOptions | null {
  let json: unknown;
  try {
    // A byte order mark is no part of the text.
    json = JSON.parse(text.replace(/^\ufeff/, ''));
  } catch (error) {
    throw new InputError(`${file}: not JSON: ${error instanceof Error ? error.message : String(error)}`);
  }
  const path = relative(dirname(file), checkpoint).split(sep).join('/');
  let found: AnalysisOptions | null = null;
  // Every entry is checked, not only the one that matches: a mistake should not wait for its checkpoint.
  const top = new Node(json, '', file).object(['$schema', 'analyses']);
  for (const entry of top.required('analyses').array()) {
    const { pattern, options } = readEntry(entry, file, defaults);
    if (!found && globToRegExp(pattern).test(path)) found = options;
  }
  return found;
}

/** @throws {InputError} */
export async function readAnalysisFile(
  file: string,
  checkpoint: string,
  defaults?: OptionDefaults,
): Promise<AnalysisOptions | null> {
  let bytes: Uint8Array;
  try {
    if ((await stat(file)).size > LARGEST_ANALYSIS_FILE) throw new InputError(`${file}: too large: ${TOO_LARGE}`);
    bytes = await readFile(file);
  } catch (error) {
    if (error instanceof InputError) throw error;
    throw new InputError(`${file}: cannot be read (${(error as NodeJS.ErrnoException).code ?? String(error)})`);
  }
  return optionsFromText(decode(bytes, file), file, checkpoint, defaults);
}

/** UTF-8, with a byte order mark or without, as editors write it. */
function decode(bytes: Uint8Array, file: string): string {
  try {
    return new TextDecoder('utf-8', { fatal: true }).decode(bytes);
  } catch {
    throw new InputError(`${file}: not UTF-8; save it with that encoding`);
  }
}

const ENTRY = [
  'checkpoint',
  'architecture',
  'graph',
  'data',
  'targetSparsity',
  'epsilon',
  'curvature',
  'l1',
  'layerLimits',
  'sampleSizes',
  'steps',
  'tolerance',
  'minutes',
  'measure',
  'batch',
  'seed',
];

function readEntry(node: Node, file: string, defaults: OptionDefaults): { pattern: string; options: AnalysisOptions } {
  const entry = node.object(ENTRY);
  const pattern = entry.required('checkpoint').string();
  // Not an option of the analysis: the editor holds it against the limits.
  entry.optional('targetSparsity')?.number(0, 1);
  const epsilon = entry.optional('epsilon');
  const measure = readMeasure(entry.optional('measure'), file);
  const architecture = entry.optional('architecture')?.string();
  const graph = entry.optional('graph')?.string();
  const options: AnalysisOptions = {
    ...defaults,
    ...(architecture !== undefined && { architecture }),
    ...(graph !== undefined && { graph: isAbsolute(graph) ? graph : resolve(dirname(file), graph) }),
    data: readData(entry.required('data'), file, defaults.data),
    epsilon: epsilon ? parseEpsilon(epsilon.stringOrNumber(), epsilon.where()) : defaults.epsilon,
    curvature: entry.optional('curvature')?.oneOf(['both', 'hessian', 'ggn'] as const) ?? defaults.curvature,
    l1: entry.optional('l1')?.number(0) ?? defaults.l1,
    ...(entry.optional('layerLimits')?.boolean() === true && { layerLimits: true as const }),
    ...(entry.optional('sampleSizes')?.boolean() === true && { sampleSizes: true as const }),
    steps: entry.optional('steps')?.integer(0) ?? defaults.steps,
    tolerance: entry.optional('tolerance')?.number(1e-6, 1) ?? defaults.tolerance,
    minutes: entry.optional('minutes')?.number(0.01) ?? defaults.minutes,
    batch: entry.optional('batch')?.integer(1) ?? defaults.batch,
    seed: entry.optional('seed')?.integer(0) ?? defaults.seed,
    ...(measure && { measure }),
  };
  return { pattern, options };
}

/** `true` for everything as it is by default, or what differs. */
function readMeasure(node: Node | undefined, file: string): MeasureOptions | undefined {
  if (node === undefined || node.value === false) return undefined;
  if (node.value === true) return DEFAULT_MEASURE;
  const measure = node.object(['on', 'samples', 'testData']);
  const samples = measure.optional('samples');
  const testData = measure.optional('testData')?.string();
  return {
    on: measure.optional('on')?.oneOf(['both', 'test', 'train'] as const) ?? DEFAULT_MEASURE.on,
    samples: samples ? (samples.value === 'all' ? 'all' : samples.integer(1)) : DEFAULT_MEASURE.samples,
    ...(testData !== undefined && { testData: isAbsolute(testData) ? testData : resolve(dirname(file), testData) }),
  };
}

function readData(node: Node, file: string, defaults: Omit<DataOptions, 'path'>): DataOptions {
  const data = node.object('path split scale normalize layout resize crop samples'.split(' '));
  const path = data.required('path').string();
  const normalize = data.optional('normalize')?.object(['mean', 'deviation']);
  const layout = data.optional('layout')?.oneOf(['auto', 'nchw', 'nhwc'] as const) ?? defaults.layout;
  const samples = data.optional('samples');
  const resize = data.optional('resize')?.integer(1);
  const crop = data.optional('crop')?.integer(1);
  const normalization = normalize && {
    mean: normalize.required('mean').numbers(),
    deviation: normalize.required('deviation').numbers(Number.MIN_VALUE),
  };
  if (normalization && normalization.mean.length !== normalization.deviation.length) {
    throw new InputError(`${normalize!.where()}: "mean" and "deviation" must have one number per channel each`);
  }
  return {
    path: isAbsolute(path) ? path : resolve(dirname(file), path),
    split: data.optional('split')?.oneOf(['train', 'test'] as const) ?? defaults.split,
    scale: data.optional('scale')?.number(Number.MIN_VALUE) ?? defaults.scale,
    ...(normalization && { normalize: normalization }),
    ...(layout !== undefined && layout !== 'auto' && { layout }),
    ...(resize !== undefined && { resize }),
    ...(crop !== undefined && { crop }),
    samples: samples ? (samples.value === 'all' ? 'all' : samples.integer(1)) : defaults.samples,
  };
}

/** A JSON value with its place, for messages. */
class Node {
  constructor(
    readonly value: unknown,
    private readonly place: string,
    private readonly file: string,
  ) {}

  where(): string {
    return `${this.file}: ${this.place === '' ? 'the file' : this.place}`;
  }

  object(known: readonly string[]): Node {
    if (typeof this.value !== 'object' || this.value === null || Array.isArray(this.value)) this.mustBe('an object');
    const unknown = Object.keys(this.value as object).find((name) => !known.includes(name));
    if (unknown !== undefined) {
      throw new InputError(
        `${this.file}: unknown property ${this.child(unknown, null).place}; known are ${known.join(', ')}`,
      );
    }
    return this;
  }

  optional(name: string): Node | undefined {
    const object = this.value as Record<string, unknown>;
    return Object.hasOwn(object, name) ? this.child(name, object[name]) : undefined;
  }

  required(name: string): Node {
    const node = this.optional(name);
    if (!node) throw new InputError(`${this.file}: ${this.child(name, null).place} is missing`);
    return node;
  }

  array(): Node[] {
    if (!Array.isArray(this.value)) this.mustBe('a list');
    return (this.value as unknown[]).map((value, i) => new Node(value, `${this.place}[${i}]`, this.file));
  }

  string(): string {
    if (typeof this.value !== 'string' || this.value === '') this.mustBe('a text');
    return this.value as string;
  }

  stringOrNumber(): string | number {
    return typeof this.value === 'number' ? this.value : this.string();
  }

  number(min = -Infinity, max = Infinity): number {
    const value = this.value;
    if (typeof value !== 'number' || !Number.isFinite(value) || value < min || value > max) {
      const low = min === Number.MIN_VALUE ? 'above 0' : min > -Infinity ? `of at least ${min}` : '';
      const high = max < Infinity ? ` and at most ${max}` : '';
      this.mustBe(`a number ${low}${high}`.trim());
    }
    return value as number;
  }

  boolean(): boolean {
    if (typeof this.value !== 'boolean') this.mustBe('true or false');
    return this.value as boolean;
  }

  integer(min: number): number {
    if (!Number.isSafeInteger(this.value) || (this.value as number) < min) {
      this.mustBe(`a whole number of at least ${min}`);
    }
    return this.value as number;
  }

  numbers(min = -Infinity): number[] {
    const numbers = this.array().map((node) => node.number(min));
    if (numbers.length === 0) this.mustBe('a list of numbers, one per channel');
    return numbers;
  }

  oneOf<const T extends string>(choices: readonly T[]): T {
    if (!choices.includes(this.value as T)) this.mustBe(`one of ${choices.join(', ')}`);
    return this.value as T;
  }

  private child(name: string, value: unknown): Node {
    return new Node(value, this.place === '' ? name : `${this.place}.${name}`, this.file);
  }

  private mustBe(what: string): never {
    throw new InputError(`${this.where()} must be ${what}, is ${shown(this.value)}`);
  }
}

/** Longest piece of a file that a message repeats. */
const LONGEST = 80;

function shown(value: unknown): string {
  if (Array.isArray(value)) return value.length === 0 ? '[]' : `a list of ${value.length}`;
  if (typeof value === 'object' && value !== null) return 'an object';
  const text = JSON.stringify(value) ?? 'absent';
  return text.length > LONGEST ? `${text.slice(0, LONGEST)}…` : text;
}
