import type { WeightsFile } from './checkpoint';
import type { StoredTensor } from './stored-tensor';

/** Keys under which training code keeps the weights, the more telling ones first. */
const WRAPPERS =
  /^(?:.*_)?state_dict$|^(?:model|net|network|weights|params|module|student|teacher|backbone|model_ema|ema|state)$/;
/** What else lies beside them: the optimiser, the schedule, statistics. */
const COMPANIONS = /optim|sched|scaler|ema|amp|hist|acc|loss|epoch|step|args|config|hparams|best|rng|metric/i;
/** What torch.nn.DataParallel and torch.compile put in front of every name. */
const PREFIXES = /^(?:module|_orig_mod)$/;

/**
 * The tensors of the network itself under the names that its code gives them:
 * without the key that wraps them, without what lies beside, and without
 * `module.` and `_orig_mod.`.
 */
export function modelWeights({ tensors }: WeightsFile): Map<string, StoredTensor> {
  let weights = new Map(tensors);
  for (;;) {
    const heads = new Map<string, number>();
    for (const name of weights.keys()) {
      const head = name.split('.', 1)[0]!;
      heads.set(head, (heads.get(head) ?? 0) + 1);
    }
    const names = [...heads.keys()];
    const alone = names.length === 1 && [...weights.keys()].every((name) => name.includes('.'));
    const wrapper = names.find((name) => WRAPPERS.test(name) && !/optim|sched/.test(name));
    const isWrapped =
      wrapper !== undefined && names.every((name) => name === wrapper || COMPANIONS.test(name) || WRAPPERS.test(name));
    const head = alone && PREFIXES.test(names[0]!) ? names[0]! : isWrapped ? wrapper : firstOfList(names, weights);
    if (head === undefined) return weights;
    const inside = [...weights].filter(([name]) => name.startsWith(`${head}.`));
    if (inside.length === 0) return weights;
    weights = new Map(inside.map(([name, tensor]) => [name.slice(head.length + 1), tensor]));
  }
}

/** The place of the only state dict in a list: names below it go on with words, as `0.conv1.weight` does. */
function firstOfList(names: readonly string[], weights: ReadonlyMap<string, StoredTensor>): string | undefined {
  if (names.length !== 1 || !/^\d+$/.test(names[0]!)) return undefined;
  const isDict = [...weights.keys()].every((name) => /^\d+\.[^.]+\./.test(name));
  return isDict ? names[0] : undefined;
}
