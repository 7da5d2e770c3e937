// The bracket of a limit against products and processor time, for docs/spectrum.md:
// `npm run estimators -- CASE [PRODUCTS [THREADS [ggn|hessian [all]]]]`, `all` for every estimator
// and not only what ships. Runs of the latter are kept in out/estimators/CASE and gone on with
// the next time. `npm run estimators -- ORACLE` compares them where the truth is known,
// `npm run estimators -- rows CASE` samples rows of the Hessian as the paper does, and
// `npm run estimators -- plot` prints all that is there and draws docs/images/brackets.svg from it.
import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { CurvatureKind } from '../protocol/analysis';
import { lossTolerance } from '../server/src/analysis/epsilon';
import { Evaluator } from '../server/src/analysis/evaluator';
import { createOrtEngine } from '../server/src/engine/ort';
import { spectralLimit } from '../server/src/limit/limit';
import { Magnitudes } from '../server/src/limit/magnitudes';
import { Random } from '../server/src/random';
import { ruleBounds, spectralMeasure, type SpectralBounds } from '../server/src/spectrum/estimate';
import { modulusBounds } from '../server/src/spectrum/modulus';
import type { SymmetricOperator } from '../server/src/spectrum/operator';
import { truncate, type JacobiMatrix } from '../server/src/spectrum/quadrature';
import { withFlatShare } from '../server/src/spectrum/restriction';
import { oracleNames, type OracleName } from '../test/golden/oracles';
import { projectRoot } from '../test/outside';
import { curvesSvg, type Panel } from './curves';
import { estimators, traceEstimators } from './estimators';
import { BlockRun } from './estimators/block';
import { CASES } from './estimators/cases';
import { deepen, processorSeconds, type Kept } from './estimators/kept';
import { ThreeTermRun } from './estimators/lanczos';
import { limitInterval, oracleProblem } from './estimators/oracle';
import { rows } from './estimators/rows';
import { folderOf, opened, operatorOf, SEED, withoutZeros } from './estimators/subject';

const KINDS: readonly CurvatureKind[] = ['ggn', 'hessian'];
const DEPTHS = [8, 16, 24, 32, 48, 64, 96, 128, 160, 200, 256, 320, 400, 512, 640, 800, 1024, 1280, 1600, 2048];

/** What a case is, as far as the limit needs it. */
interface Problem {
  readonly epsilon: number;
  readonly dimension: number;
  readonly live: number;
  /** R² at evenly spaced sparsities. */
  readonly squaredRadius: number[];
}

async function study(
  name: string,
  products: number,
  threads: number,
  kinds: readonly CurvatureKind[],
  every: boolean,
): Promise<void> {
  const engine = await createOrtEngine(threads);
  const subject = await opened(name, engine);
  const evaluator = await Evaluator.create(engine, subject);
  const { losses, loss } = await evaluator.evaluate(subject.weights);
  await evaluator.dispose();
  const magnitudes = Magnitudes.of(
    subject.layout.layers.map(({ offset, length }) => subject.weights.subarray(offset, offset + length)),
  );
  for (const kind of kinds) {
    const operator = operatorOf(subject, engine, kind);
    const live = await withoutZeros(operator);
    const problem: Problem = {
      epsilon: lossTolerance({ kind: 'batch-std' }, losses, loss),
      dimension: operator.dimension,
      live: live.operator.dimension,
      squaredRadius: Array.from({ length: 20_001 }, (_, i) => magnitudes.squaredRadius(i / 20_000)),
    };
    const path = join(folderOf(name), kind);
    writeFileSync(`${path}.problem.json`, JSON.stringify(problem));
    await deepen(live.operator, path, products);
    if (every) {
      await unorthogonalised(live.operator, path, problem, products);
      for (const width of [2, 4]) await inBlocks(live.operator, path, problem, width, products);
    }
    await operator.dispose();
    print(name, kind);
  }
}

/** Without re-orthogonalisation, from the same probe. */
async function unorthogonalised(
  operator: SymmetricOperator,
  path: string,
  problem: Problem,
  products: number,
): Promise<void> {
  const run = new ThreeTermRun(Random.stream(SEED, 'lanczos 0').rademacher(operator.dimension));
  const found: Point[] = [];
  const before = processorSeconds();
  while (run.alpha.length < products) {
    run.absorb((await operator.apply([run.next]))[0]!);
    const steps = run.alpha.length;
    if (!DEPTHS.includes(steps)) continue;
    const seconds = processorSeconds() - before;
    found.push({ products: steps, seconds, ...bracket(problem, jacobiBounds(operator, run.jacobi)) });
  }
  writeFileSync(`${path}.not re-orthogonalised.json`, JSON.stringify(found));
}

async function inBlocks(
  operator: SymmetricOperator,
  path: string,
  problem: Problem,
  width: number,
  products: number,
): Promise<void> {
  const run = BlockRun.from(
    Array.from({ length: width }, (_, i) => Random.stream(SEED, `lanczos ${i}`).rademacher(operator.dimension)),
  );
  const found: Point[] = [];
  let seconds = 0;
  while (run.products + width <= products) {
    const before = processorSeconds();
    run.absorb(await operator.apply(run.next));
    seconds += processorSeconds() - before;
    if (DEPTHS.includes(run.products))
      found.push({ products: run.products, seconds, ...bracket(problem, run.bounds()) });
  }
  writeFileSync(`${path}.blocks of ${width}.json`, JSON.stringify(found));
}

interface Point {
  readonly products: number;
  readonly seconds: number;
  readonly low: number;
  readonly high: number;
}

/** Of what is left without the zero rows. */
function jacobiBounds({ dimension, positiveSemidefinite }: SymmetricOperator, jacobi: JacobiMatrix): SpectralBounds {
  return positiveSemidefinite ? ruleBounds(spectralMeasure(dimension, [jacobi])) : modulusBounds([jacobi]);
}

/** What the limit lies between, sampling error apart. */
function bracket(
  { dimension, live, epsilon, squaredRadius }: Problem,
  inner: SpectralBounds,
): { low: number; high: number } {
  const bounds = withFlatShare(inner, 1 - live / dimension);
  const intervals = squaredRadius.length - 1;
  const radius = (s: number): number => {
    const at = Math.min(intervals - 1, Math.floor(s * intervals));
    const [from, to] = [squaredRadius[at]!, squaredRadius[at + 1]!];
    return from + (s * intervals - at) * (to - from);
  };
  const at = (bound: (c: number) => number): number => spectralLimit(bound, epsilon, radius);
  return { low: at((c) => bounds.low(c)), high: at((c) => bounds.high(c)) };
}

/** By estimator, what ships first. */
function curves(name: string, kind: CurvatureKind): Map<string, Point[]> {
  const folder = join(projectRoot(), 'out/estimators', name);
  const found = new Map<string, Point[]>();
  if (!existsSync(join(folder, `${kind}.json`))) return found;
  const { alpha, beta, step } = JSON.parse(readFileSync(join(folder, `${kind}.json`), 'utf8')) as Kept;
  const problem = JSON.parse(readFileSync(join(folder, `${kind}.problem.json`), 'utf8')) as Problem;
  const whole: JacobiMatrix = { alpha: Float64Array.from(alpha), beta: Float64Array.from(beta) };
  const operator = { dimension: problem.live, positiveSemidefinite: kind === 'ggn' } as SymmetricOperator;
  const depths = [...DEPTHS.filter((depth) => depth < alpha.length), alpha.length];
  found.set(
    'Lanczos',
    depths.map((products) => {
      const seconds = step.slice(0, products).reduce((sum, x) => sum + x, 0);
      return { products, seconds, ...bracket(problem, jacobiBounds(operator, truncate(whole, products))) };
    }),
  );
  for (const estimator of ['not re-orthogonalised', 'blocks of 2', 'blocks of 4']) {
    const file = join(folder, `${kind}.${estimator}.json`);
    if (existsSync(file)) found.set(estimator, JSON.parse(readFileSync(file, 'utf8')) as Point[]);
  }
  return found;
}

function print(name: string, kind: CurvatureKind): void {
  for (const [estimator, points] of curves(name, kind)) {
    console.log(`\n${CASES[name]!.title}, ${kind}, ${estimator}: bracket of s*`);
    console.log('  products  processor s  bracket            width');
    for (const { products, seconds, low, high } of points) {
      const range = `${low.toFixed(4)} … ${high.toFixed(4)}`;
      const cost = `${String(products).padStart(8)}  ${seconds.toFixed(1).padStart(11)}`;
      console.log(`  ${cost}  ${range}  ${(high - low).toFixed(4)}`);
    }
  }
}

function plot(): void {
  for (const name of Object.keys(CASES)) for (const kind of KINDS) print(name, kind);
  const panels = Object.entries(CASES).flatMap(([name, { title }]): Panel[] => {
    const lines = curves(name, 'hessian');
    return lines.size === 0 ? [] : [{ title, lines }];
  });
  if (panels.length === 0) throw new Error('nothing to plot: run a case first');
  writeFileSync(join(projectRoot(), 'docs/images/brackets.svg'), curvesSvg(panels));
}

const SEEDS = 3;
const TRACE_SEEDS = 20;

/** What every estimator says of a network whose eigenvalues are known. */
async function oracle(name: OracleName): Promise<void> {
  const engine = await createOrtEngine(1);
  const problem = await oracleProblem(engine, name, 'hessian');
  console.log(`${name}, Hessian: limit ${problem.limit.toFixed(4)}, ${problem.operator.dimension} weights`);
  console.log('products: error of the limit, width of its bracket and of its 95 % interval');
  for (const estimator of estimators) {
    for (const products of [64, 128]) {
      let [error, bracketWidth, width] = [0, 0, 0];
      for (let seed = 0; seed < SEEDS; seed++) {
        const estimated = await estimator.estimate(problem.operator, products, seed);
        const inner = limitInterval(problem, estimated, 0);
        const outer = limitInterval(problem, estimated);
        error += Math.abs((inner[0] + inner[1]) / 2 - problem.limit) / SEEDS;
        bracketWidth += (inner[1] - inner[0]) / SEEDS;
        width += (outer[1] - outer[0]) / SEEDS;
      }
      console.log(
        `${estimator.name}, ${products}: ${[error, bracketWidth, width].map((x) => x.toFixed(4)).join('  ')}`,
      );
    }
  }
  console.log('products: relative error of the trace, root mean square, and as stated');
  for (const estimator of traceEstimators) {
    for (const products of [8, 24, 96, 240]) {
      let [square, stated] = [0, 0];
      for (let seed = 0; seed < TRACE_SEEDS; seed++) {
        const { value, standardError } = await estimator.estimate(problem.operator, products, seed);
        square += (value / problem.trace - 1) ** 2 / TRACE_SEEDS;
        stated += standardError / Math.abs(problem.trace) / TRACE_SEEDS;
      }
      console.log(`${estimator.name}, ${products}: ${Math.sqrt(square).toExponential(1)}  ${stated.toExponential(1)}`);
    }
  }
}

async function main([name, products = '256', threads = '2', only, all]: readonly string[]): Promise<void> {
  if (name === 'plot') plot();
  else if (oracleNames.some((one) => one === name)) await oracle(name as OracleName);
  else if (name === 'rows' && CASES[products]) await rows(products, 100, Number(threads));
  else if (name !== undefined && name in CASES)
    await study(
      name,
      Number(products),
      Number(threads),
      only === undefined ? KINDS : KINDS.filter((kind) => kind === only),
      all === 'all',
    );
  else
    throw new Error(
      `usage: npm run estimators -- CASE [PRODUCTS [THREADS [ggn|hessian [all]]]] | ORACLE | rows CASE [THREADS] | plot; cases: ${Object.keys(CASES).join(', ')}; oracles: ${oracleNames.join(', ')}`,
    );
}

main(process.argv.slice(2)).catch((error: unknown) => {
  console.error(error instanceof Error ? error.message : error);
  process.exitCode = 1;
});
