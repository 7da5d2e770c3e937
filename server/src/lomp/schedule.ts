import type { Schedule } from '../../../protocol/train';

/** η from the part of the training that is done, 0 at the first step and below 1 at the last. */
export type LearningRate = (progress: number) => number;

/** From `rate` down to 0 along half a cosine (Loshchilov & Hutter 2017). */
export function cosineRate(rate: number): LearningRate {
  return (progress) => (rate * (1 + Math.cos(Math.PI * progress))) / 2;
}

/** `rate`, multiplied by `factor` at each of the milestones, which are parts of the training. */
export function multistepRate(rate: number, milestones: readonly number[], factor: number): LearningRate {
  return (progress) => rate * factor ** milestones.filter((milestone) => milestone <= progress).length;
}

/**
 * The first `warmup` of the training along a line from 0 (reached one step
 * before the first) to what `schedule` says there, then `schedule`.
 *
 * @param step part of the training that is one step
 */
export function warmedUp(schedule: LearningRate, warmup: number, step: number): LearningRate {
  return (progress) => schedule(progress) * (progress < warmup ? Math.min(1, (progress + step) / warmup) : 1);
}

export interface RateOptions {
  readonly rate: number;
  readonly schedule: Schedule;
  /** In epochs. */
  readonly warmup: number;
  readonly epochs: number;
}

/** @param steps per epoch */
export function learningRate({ rate, schedule, warmup, epochs }: RateOptions, steps: number): LearningRate {
  const base = scheduled(rate, schedule, epochs);
  return warmup > 0 ? warmedUp(base, warmup / epochs, 1 / (steps * epochs)) : base;
}

function scheduled(rate: number, schedule: Schedule, epochs: number): LearningRate {
  if (schedule.kind === 'constant') return () => rate;
  if (schedule.kind === 'cosine') return cosineRate(rate);
  return multistepRate(
    rate,
    schedule.milestones.map((epoch) => epoch / epochs),
    schedule.factor,
  );
}
