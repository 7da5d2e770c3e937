/**
 * The experiments: a network, its data and how it is trained, analysed and
 * retrained, as arguments of the command line. What a preset does not say is
 * what the command does by default.
 *
 * `full` has the widths and settings of the paper's reference code (batch 128,
 * 200 epochs, momentum 0.9, no weight decay); where that has none, those of its
 * nearest relative. `small` is what two cores can do in minutes: fewer samples
 * and epochs, where needed fewer units, and μ such that its product with the
 * number of steps is of the order of the full one's.
 */
export interface Settings {
  /** What `train` begins with, before its options. */
  readonly network: readonly string[];
  readonly train: string;
  /** Coefficient of the penalty. */
  readonly l1: number;
  readonly analyze: string;
  readonly retrain: string;
}

export interface Experiment {
  readonly about: string;
  /** Folder of the data under the root. */
  readonly data: string;
  /** How raw samples become inputs, for every command. */
  readonly input: string;
  readonly presets: { readonly small?: Settings; readonly full?: Settings };
}

const CIFAR = '--normalize .4914,.4822,.4465;.247,.2435,.2616';
const ROUGH_CIFAR = '--normalize .49,.48,.45;.25,.24,.26';
const AKAMASTER = '--normalize .485,.456,.406;.229,.224,.225';
const architecture = (name: string): string[] => ['--architecture', name];

/** As the reference has it, but for what `more` says. */
function reference(name: string, l1: number, rate: number, schedule = 'constant', steps = 128): Settings {
  return {
    network: architecture(name),
    train: `--epochs 200 --rate ${rate} --schedule ${schedule}`,
    l1,
    analyze: `--samples all --steps ${steps} --batch 500 --minutes 600`,
    retrain: `--epochs 20 --rate ${rate}`,
  };
}

/** A narrow network on few samples: that the whole way can be gone, and no more. */
function narrow(name: string, l1: number, rate: number): Settings {
  return {
    network: architecture(name),
    train: `--samples 2000 --epochs 12 --rate ${rate}`,
    l1,
    analyze: '--samples 300 --tolerance 0.02 --steps 64 --batch 100 --measure-samples 300',
    retrain: '--samples 2000 --epochs 4',
  };
}

/** Few weights: limits that resolve within seconds. */
function perceptron(name: string, l1: number, samples: string): Settings {
  return {
    network: architecture(name),
    train: `${samples} --epochs 20`.trim(),
    l1,
    analyze: '--samples 2000 --tolerance 0.02 --steps 300 --batch 500 --measure-samples 1000',
    retrain: samples,
  };
}

const optdigits = (about: string, l1: number, train = ''): Experiment => ({
  about: `MLP 64-100-50-10 on optical digits${about}`,
  data: 'optdigits',
  input: '--scale 16',
  presets: {
    small: {
      network: architecture('fc-100-50'),
      train: `--epochs 60 ${train}`.trim(),
      l1,
      analyze: '--samples all --steps 300 --batch 500',
      retrain: '',
    },
  },
});

/** FC12 learns slowly from PyTorch's initial weights: more epochs. */
const twelve: Settings = {
  network: architecture('fc12/5'),
  train: '--samples 4000 --epochs 40 --warmup 2',
  l1: 1e-4,
  analyze: '--samples 1000 --tolerance 0.02 --steps 256 --batch 500 --measure-samples 1000',
  retrain: '--samples 4000',
};

export const EXPERIMENTS: Readonly<Record<string, Experiment>> = {
  'fc-mnist': {
    about: 'fully connected 784-300-100-10 on MNIST',
    data: 'mnist',
    input: '',
    presets: {
      small: {
        network: architecture('fc-300-100'),
        train: '--epochs 15',
        l1: 5e-5,
        analyze: '--samples 10000 --steps 300 --batch 500',
        retrain: '--epochs 5',
      },
      full: {
        network: architecture('fc-300-100'),
        train: '--epochs 200',
        l1: 5e-5,
        analyze: '--samples all --steps 300 --batch 500 --minutes 600',
        retrain: '--epochs 20',
      },
    },
  },
  'mlp-mnist': {
    about: 'MLP 784-30-10 on 4,000 samples of MNIST',
    data: 'mnist',
    input: '',
    presets: { small: perceptron('fc-30', 1e-4, '--samples 4000') },
  },
  'mlp-fashion': {
    about: 'MLP 784-30-10 on 3,443 samples of Fashion-MNIST',
    data: 'fashion-mnist',
    input: '',
    presets: { small: perceptron('fc-30', 1e-4, '') },
  },
  'mlp-cifar10': {
    about: 'MLP 3072-20-20-20-10 on 4,000 samples of CIFAR-10',
    data: 'cifar10',
    input: ROUGH_CIFAR,
    presets: { small: perceptron('fc-20-20-20', 2e-4, '--samples 4000') },
  },
  'fc-mnist-4000': {
    about: 'fully connected 784-300-100-10 on 4,000 samples of MNIST',
    data: 'mnist',
    input: '',
    presets: {
      small: {
        network: architecture('fc-300-100'),
        train: '--samples 4000 --epochs 20',
        l1: 2e-4,
        analyze: '--samples 2000 --steps 256 --batch 500 --measure-samples 2000',
        retrain: '--samples 4000',
      },
    },
  },
  'mlp-optdigits': optdigits('', 1e-4),
  'fc5-mnist': {
    about: 'FC5 on MNIST; small: a tenth of its units, 4,000 samples',
    data: 'mnist',
    input: '',
    presets: {
      small: {
        network: architecture('fc5/10'),
        train: '--samples 4000 --epochs 20',
        l1: 2e-4,
        analyze: '--samples 1000 --tolerance 0.02 --steps 256 --batch 500 --measure-samples 1000',
        retrain: '--samples 4000',
      },
      full: reference('fc5', 5e-5, 0.01),
    },
  },
  'fc5-cifar10': {
    about: 'FC5 on CIFAR-10; small: a tenth of its units, 4,000 samples',
    data: 'cifar10',
    input: ROUGH_CIFAR,
    presets: {
      small: {
        network: architecture('fc-100-60-30-10'),
        train: '--samples 4000 --epochs 20 --rate 0.05',
        l1: 2e-4,
        analyze: '--samples 1000 --tolerance 0.02 --steps 256 --batch 500 --measure-samples 1000',
        retrain: '--samples 4000',
      },
      full: reference('fc5', 5e-5, 0.01),
    },
  },
  'fc12-mnist': {
    about: 'FC12 on MNIST; small: a fifth of its units, 4,000 samples',
    data: 'mnist',
    input: '',
    presets: { small: twelve, full: reference('fc12', 5e-5, 0.01) },
  },
  'fc12-cifar10': {
    about: 'FC12 on CIFAR-10; small: a fifth of its units, 4,000 samples',
    data: 'cifar10',
    input: CIFAR,
    presets: { small: twelve, full: reference('fc12', 5e-5, 0.01) },
  },
  'lenet5-mnist': {
    about: 'LeNet-5 (6 and 16 channels) on MNIST; small: 4,000 samples',
    data: 'mnist',
    input: '',
    presets: {
      small: {
        network: architecture('lenet5'),
        train: '--samples 4000 --epochs 15',
        l1: 2e-4,
        analyze: '--samples 500 --tolerance 0.02 --steps 192 --batch 250 --measure-samples 1000',
        retrain: '--samples 4000',
      },
      full: reference('lenet5', 5e-5, 0.01),
    },
  },
  'lenet5-fashion': {
    about: 'LeNet-5 (6 and 16 channels) on Fashion-MNIST; small: 3,443 samples',
    data: 'fashion-mnist',
    input: '',
    presets: {
      small: {
        network: architecture('lenet5'),
        train: '--epochs 15',
        l1: 3e-4,
        analyze: '--samples 500 --tolerance 0.02 --steps 192 --batch 250 --measure-samples 1000',
        retrain: '',
      },
      full: reference('lenet5', 5e-5, 0.01),
    },
  },
  'alexnet-cifar10': {
    about: 'AlexNet on CIFAR-10; small: an eighth of its units and channels, 2,000 samples',
    data: 'cifar10',
    input: CIFAR,
    presets: { small: narrow('alexnet/8', 2e-4, 0.05), full: reference('alexnet', 3e-5, 0.01, 'constant', 96) },
  },
  'vgg16-cifar10': {
    about: 'VGG16 on CIFAR-10; small: an eighth of its channels, 2,000 samples',
    data: 'cifar10',
    input: CIFAR,
    presets: { small: narrow('vgg16/8', 5e-4, 0.1), full: reference('vgg16', 1e-4, 0.01) },
  },
  'resnet18-cifar100': {
    about: 'ResNet18 on CIFAR-100',
    data: 'cifar100',
    input: CIFAR,
    presets: { full: reference('resnet18', 5e-5, 0.1, 'cosine') },
  },
  'resnet50-cifar100': {
    about: 'ResNet50 on CIFAR-100',
    data: 'cifar100',
    input: CIFAR,
    presets: { full: reference('resnet50', 2e-5, 0.1, 'cosine') },
  },
  'resnet18-cifar10': {
    about: 'ResNet18 with an eighth of its channels on 2,000 samples of CIFAR-10',
    data: 'cifar10',
    input: CIFAR,
    presets: { small: narrow('resnet18/8', 5e-4, 0.1) },
  },
  'resnet50-cifar10': {
    about: 'ResNet50 with an eighth of its channels on 2,000 samples of CIFAR-10',
    data: 'cifar10',
    input: CIFAR,
    presets: { small: narrow('resnet50/8', 5e-4, 0.1) },
  },
  'resnet20-cifar10': {
    about: 'ResNet-20 on CIFAR-10, fine-tuned with the penalty from a trained checkpoint',
    data: 'cifar10',
    input: AKAMASTER,
    presets: {
      full: {
        network: ['{data}/../checkpoints/pytorch/akamaster/resnet20-12fca82f.th'],
        train: '--epochs 40 --rate 0.01 --crop 4 --flip',
        l1: 5e-5,
        analyze: '--samples all --steps 256 --minutes 600',
        retrain: '--epochs 20 --rate 0.01',
      },
    },
  },
  'optdigits-l1-0': optdigits(', μ = 0', 0),
  'optdigits-l1-3e-5': optdigits(', μ = 3e-5', 3e-5),
  'optdigits-l1-3e-4': optdigits(', μ = 3e-4', 3e-4),
  'optdigits-batch-32': optdigits(', batch 32', 1e-4, '--batch 32'),
  'optdigits-batch-512': optdigits(', batch 512', 1e-4, '--batch 512'),
  'optdigits-l2-5e-4': optdigits(', μ = 0, weight decay 5e-4', 0, '--weight-decay 5e-4'),
  'optdigits-l2-2e-3': optdigits(', μ = 0, weight decay 2e-3', 0, '--weight-decay 2e-3'),
};

/** The paper's claims, as experiments to be held beside each other. */
export const CLAIMS: Readonly<Record<string, { readonly about: string; readonly experiments: readonly string[] }>> = {
  'claims/penalty': {
    about: 'smaller weights prune further: μ of the L1 penalty',
    experiments: ['optdigits-l1-0', 'optdigits-l1-3e-5', 'mlp-optdigits', 'optdigits-l1-3e-4'],
  },
  'claims/batch': {
    about: 'flatter minima prune further: the batch size',
    experiments: ['optdigits-batch-32', 'mlp-optdigits', 'optdigits-batch-512'],
  },
  'claims/decay': {
    about: 'L2 regularisation and the limit: the weight decay',
    experiments: ['optdigits-l1-0', 'optdigits-l2-5e-4', 'optdigits-l2-2e-3'],
  },
};

/**
 * Gradual pruning against pruning at once, to the same sparsity, of the networks
 * of experiments. They were trained on all of their data, which both ways go on with.
 */
export const GRADUAL: Readonly<Record<string, { readonly sparsities: readonly number[]; readonly rate: number }>> = {
  'mlp-optdigits': { sparsities: [0.8, 0.9, 0.95], rate: 0.1 },
  'mlp-fashion': { sparsities: [0.8, 0.9, 0.95], rate: 0.1 },
};
