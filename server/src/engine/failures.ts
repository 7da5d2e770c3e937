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
    if (/alloc|memory|SafeInt|\bOOM\b/i.test(message)) {
      throw new OutOfMemoryError(`memory ran out while trying to ${what}; lower --batch, or choose a smaller network`);
    }
    // Where in the runtime's source it happened helps nobody.
    const reason = message.replace(/\s*\S*onnxruntime_src\S*.*$/, '');
    throw new AnalysisError(`${runtime} failed to ${what}: ${reason}`);
  }
}
