import {
  ceilPoolLowering,
  lowerConv,
  lowerInputGrad,
  lowerMatmul,
  lowerSign,
  poolAdjointLowering,
  type LoweringRules,
} from '../lowering';

/**
 * What of ONNX a provider runs on its own device. What it lacks would silently
 * be computed on the CPU, between two copies of every tensor, or wrongly.
 */
export interface OnnxDialect {
  /** com.microsoft.FusedMatMul, a batched product of transposed operands. */
  readonly fusedMatMul: boolean;
  /** LogSoftmax. */
  readonly logSoftmax: boolean;
  /** Channels in a block of com.microsoft.nchwc, where there is such a layout (blocked.ts); else 0. */
  readonly block: number;
  /** Threads that the work in that layout is divided for; the values are the same for any number. */
  readonly threads: number;
  /** Ops written with others before anything is emitted. */
  readonly lowering: LoweringRules | undefined;
}

/** Every op has a kernel, and every kernel is right. */
export const NATIVE: OnnxDialect = { fusedMatMul: true, logSoftmax: true, block: 0, threads: 1, lowering: undefined };

/** As the native runtime, but shapes that its inference disagrees with are an error there and not a warning. */
export const WEB_ASSEMBLY: OnnxDialect = { ...NATIVE, lowering: ceilPoolLowering };

/**
 * What onnxruntime's WebGPU provider has kernels for, found with
 * `session.disable_cpu_ep_fallback`: neither Sign, LogSoftmax and FusedMatMul,
 * nor indices of maxima, nor grouped or transposed convolutions of volumes.
 * Its Conv is wrong for 6, 9, 15 … channels (lowering.ts), its ConvTranspose for
 * groups of several inputs and one output.
 */
export const PORTABLE: OnnxDialect = {
  fusedMatMul: false,
  logSoftmax: false,
  block: 0,
  threads: 1,
  lowering: {
    sign: lowerSign,
    matmul: lowerMatmul,
    conv: lowerConv,
    convInputGrad: lowerInputGrad,
    ...poolAdjointLowering,
  },
};
