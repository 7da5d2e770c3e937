import assert from 'node:assert/strict';
import { test } from 'node:test';
import { formatGraph } from '../graph/traversal';
import { curvatureProgram, gradientProgram } from './programs';
import { smallConvNet, softmaxRegression } from './testing';

/** Lines between the quotes, without the indentation. */
function text(lines: string): string {
  return lines.trim().replace(/^ +/gm, '');
}

test('the gradient program of softmax regression reads xᵀ(softmax − targets)', () => {
  // With u = −targets, the gradient of Σ u·logSoftmax(z) in z is u − softmax(z) Σ u.
  assert.equal(
    formatGraph(gradientProgram(softmaxRegression(2, 3, 2))),
    text(`
      %0 = input() name="x" : [2, 3]
      %1 = parameter() name="w" : [3, 2]
      %2 = matmul(%0, %1) transposeA=false transposeB=false : [2, 2]
      %3 = parameter() name="b" : [2]
      %4 = add(%2, %3) : [2, 2]
      %5 = input() name="targets" : [2, 2]
      %6 = logSoftmax(%4) axis=1 : [2, 2]
      %7 = mul(%5, %6) : [2, 2]
      %8 = neg(%7) : [2, 2]
      %9 = reduceSum(%8) axes=[0,1] : [1, 1]
      %10 = reshape(%9) shape=[] : []
      %11 = constant() value=<1> : []
      %12 = reshape(%11) shape=[1,1] : [1, 1]
      %13 = expand(%12) shape=[2,2] : [2, 2]
      %14 = neg(%13) : [2, 2]
      %15 = mul(%14, %5) : [2, 2]
      %16 = softmax(%4) axis=1 : [2, 2]
      %17 = reduceSum(%15) axes=[1] : [2, 1]
      %18 = mul(%16, %17) : [2, 2]
      %19 = sub(%15, %18) : [2, 2]
      %20 = matmul(%0, %19) transposeA=true transposeB=false : [3, 2]
      output loss = %10
      output gradient w = %20
    `),
  );
});

test('the Hessian product of softmax regression reads xᵀ(diag p − ppᵀ)xv, and Gauss–Newton is the same graph', () => {
  // %4 is how the logits z move, %17 = p (ż − Σ p·ż) how the softmax does; %18 is −1/N, the sum of a row of −targets.
  const expected = text(`
    %0 = input() name="x" : [2, 3]
    %1 = parameter() name="w" : [3, 2]
    %2 = matmul(%0, %1) transposeA=false transposeB=false : [2, 2]
    %3 = input() name="direction 0 w" : [3, 2]
    %4 = matmul(%0, %3) transposeA=false transposeB=false : [2, 2]
    %5 = parameter() name="b" : [2]
    %6 = add(%2, %5) : [2, 2]
    %7 = input() name="targets" : [2, 2]
    %8 = constant() value=<1> : []
    %9 = reshape(%8) shape=[1,1] : [1, 1]
    %10 = expand(%9) shape=[2,2] : [2, 2]
    %11 = neg(%10) : [2, 2]
    %12 = mul(%11, %7) : [2, 2]
    %13 = softmax(%6) axis=1 : [2, 2]
    %14 = mul(%13, %4) : [2, 2]
    %15 = reduceSum(%14) axes=[1] : [2, 1]
    %16 = sub(%4, %15) : [2, 2]
    %17 = mul(%13, %16) : [2, 2]
    %18 = reduceSum(%12) axes=[1] : [2, 1]
    %19 = mul(%17, %18) : [2, 2]
    %20 = neg(%19) : [2, 2]
    %21 = matmul(%0, %20) transposeA=true transposeB=false : [3, 2]
    output product 0 w = %21
  `);
  assert.equal(formatGraph(curvatureProgram(softmaxRegression(2, 3, 2), 'hessian', 1)), expected);
  assert.equal(formatGraph(curvatureProgram(softmaxRegression(2, 3, 2), 'ggn', 1)), expected);
});

test('probes share everything that does not depend on them', () => {
  const nodes = (probes: number): number =>
    formatGraph(curvatureProgram(smallConvNet(2), 'hessian', probes)).split('\n').length;
  const [one, two, four] = [nodes(1), nodes(2), nodes(4)];
  assert.equal(four - two, 2 * (two - one));
  assert.ok(two - one < 0.8 * one, `${two - one} more nodes for a second probe beside ${one}`);
});

test('of the layers before a block only the forward pass is computed', () => {
  for (const kind of ['hessian', 'ggn'] as const) {
    const model = smallConvNet(2);
    const last = model.layers.filter(({ name }) => name === 'linear');
    const text = formatGraph(curvatureProgram(model, kind, 1, last));
    assert.equal(text.match(/= conv/g)?.length, 1, text);
    assert.ok(formatGraph(curvatureProgram(model, kind, 1)).match(/= conv/g)!.length >= 3);
  }
});
