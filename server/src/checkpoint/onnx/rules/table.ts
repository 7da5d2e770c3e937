import { activationRules } from './activation';
import { attentionRules } from './attention';
import { conditional } from './branch';
import { convolutionRules } from './convolution';
import { einsumRules } from './einsum';
import { elementwiseRules } from './elementwise';
import * as layouts from './layout';
import { normalizationRules } from './normalization';
import { padRules } from './pad';
import { poolingRules } from './pooling';
import { productRules } from './product';
import { reductionRules } from './reduction';
import { resizeRules } from './resize';
import { layout, type Rule } from './rule';
import * as shapes from './shape';

/** Every operator that can be imported, in opsets 7 to 28. */
const rules: Readonly<Record<string, Rule>> = {
  ...activationRules,
  ...attentionRules,
  ...convolutionRules,
  ...einsumRules,
  ...elementwiseRules,
  ...normalizationRules,
  ...padRules,
  ...poolingRules,
  ...productRules,
  ...reductionRules,
  ...resizeRules,
  Cast: shapes.cast,
  CastLike: shapes.castLike,
  Concat: layout(layouts.concat, 'all'),
  Constant: shapes.constant,
  ConstantOfShape: shapes.constantOfShape,
  DepthToSpace: layout(layouts.depthToSpace),
  Expand: layout(layouts.expand),
  Flatten: layout(layouts.flatten),
  Gather: layout(layouts.gather),
  Identity: layout(layouts.identity),
  If: conditional,
  Range: shapes.range,
  Reshape: layout(layouts.reshape),
  Shape: shapes.shape,
  Size: shapes.size,
  Slice: layout(layouts.slice),
  SpaceToDepth: layout(layouts.spaceToDepth),
  Split: layout(layouts.split),
  Squeeze: layout(layouts.squeeze),
  Tile: layout(layouts.tile),
  Transpose: layout(layouts.transpose),
  Unsqueeze: layout(layouts.unsqueeze),
};

/** The rule of an operator; undefined when there is none. */
export function ruleOf(op: string): Rule | undefined {
  return Object.hasOwn(rules, op) ? rules[op] : undefined;
}
