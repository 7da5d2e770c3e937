import { AnalysisError, InputError } from '../errors';
import { OutOfMemoryError } from './engine';

/**
 * What a runtime throws, as one sentence.
 *
 * @param runtime its name
 * @param what it was to do
 */
export async function attempt<T>(runtime: string, what: string, action: () => Promise<T>): Promise<T> {
  try {
    return await action();
  } catch (error) {
    if (error instanceof AnalysisError || error instanceof InputError) throw error;
    const message = (error instanceof Error ? error.message : String(error)).split('\n', 1)[0]!;
    if (isOutOfMemory(message)) {
      throw new OutOfMemoryError(`memory ran out while trying to ${what}; lower --batch, or choose a smaller network`);
    }
    throw new AnalysisError(`${runtime} failed to ${what}: ${reasonOf(message)}`);
  }
}

/** A buffer that WebGPU could not make is noticed when it is used; so is one that takes more bindings than there are. */
const OUT_OF_MEMORY =
  /bad_alloc|out.?of.?memory|\bOOM\b|alloc\w*[ _]fail|fail\w* to alloc|SafeInt|typed array length|\[Invalid Buffer|max(imum)? buffer size|too many storage buffers/i;

/** Whether a message of a runtime or driver says that a smaller batch would help. */
export function isOutOfMemory(message: string): boolean {
  return OUT_OF_MEMORY.test(message);
}

/** Where in the runtime's source it happened helps nobody. */
function reasonOf(message: string): string {
  const enforced = / was false\. (.+)$/.exec(message);
  if (enforced !== null) return enforced[1]!;
  const reason = message.replace(/\s*\S*onnxruntime_src\S*.*$/, '');
  return reason === '' ? message : reason;
}
