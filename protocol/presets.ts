/** Means and deviations that networks of well-known data sets are trained with, after bytes were divided by 255. */
export interface NormalizationPreset {
  readonly label: string;
  readonly mean: readonly number[];
  readonly deviation: readonly number[];
}

export const NORMALIZATION_PRESETS: readonly NormalizationPreset[] = [
  { label: 'MNIST', mean: [0.1307], deviation: [0.3081] },
  { label: 'CIFAR-10', mean: [0.4914, 0.4822, 0.4465], deviation: [0.247, 0.2435, 0.2616] },
  { label: 'ImageNet', mean: [0.485, 0.456, 0.406], deviation: [0.229, 0.224, 0.225] },
];
