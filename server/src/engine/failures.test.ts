import assert from 'node:assert/strict';
import { test } from 'node:test';
import { AnalysisError } from '../errors';
import { OutOfMemoryError } from './engine';
import { attempt } from './failures';

const thrown = (message: string): Promise<unknown> =>
  attempt('onnxruntime', 'run the graph', () => Promise.reject(new Error(message))).catch((error: unknown) => error);

test('what runtimes and drivers say when memory runs out asks for a smaller batch', async () => {
  for (const message of [
    'std::bad_alloc',
    'Non-zero status code returned while running Conv node. Status Message: Failed to allocate memory for requested buffer of size 4294967296',
    'BFCArena::AllocateRawInternal(size_t, bool, Stream*) Failed to allocate memory for requested buffer of size 17',
    'CUDA failure 2: out of memory ; GPU=0 ; hostname=here ; expr=cudaMalloc((void**)&p, size);',
    'CUDNN failure 2: CUDNN_STATUS_ALLOC_FAILED ; GPU=0',
    'WebGPU validation failed. [Invalid Buffer (unlabeled)] is invalid due to a previous error.\n - While validating entries[1]',
    'Too many storage buffers in shader. Current: 11, Limit: 10',
    'Buffer size (5368709120) exceeds the max buffer size limit (4294967296).',
    'vkAllocateMemory failed with VK_ERROR_OUT_OF_DEVICE_MEMORY',
    'D3D12 create committed resource: E_OUTOFMEMORY (0x8007000E)',
    'OOM when allocating tensor with shape[512,64,224,224] and type float',
    'Array buffer allocation failed',
    'Invalid typed array length: 5368709120',
    'Integer overflow: SafeIntOnOverflow',
  ]) {
    assert.ok((await thrown(message)) instanceof OutOfMemoryError, message);
  }
});

test('other failures do not', async () => {
  for (const message of [
    'CUDA failure 700: an illegal memory access was encountered ; GPU=0',
    'WebGPU device lost (2): the device was removed',
    'Failed to create a WebGPU compute pipeline: entry point not found',
    'This session contains graph nodes that are assigned to the default CPU EP, but fallback to CPU EP has been explicitly disabled by the user.',
  ]) {
    const error = await thrown(message);
    assert.ok(error instanceof AnalysisError, message);
    assert.match(error.message, /^onnxruntime failed to run the graph: \S/);
  }
});

test('a place in the source of the runtime is left out, the reason is not', async () => {
  const place = '/onnxruntime_src/onnxruntime/core/providers/webgpu/webgpu_context.cc:136 Initialize(…)::<lambda()>';
  assert.equal(
    ((await thrown(`${place} status == Success was false. Failed to get a WebGPU adapter: none`)) as Error).message,
    'onnxruntime failed to run the graph: Failed to get a WebGPU adapter: none',
  );
  assert.equal(
    ((await thrown(`Node is not supported ${place}`)) as Error).message,
    'onnxruntime failed to run the graph: Node is not supported',
  );
});
