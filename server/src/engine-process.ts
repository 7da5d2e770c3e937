/**
 * The engine process: one engine that is not the CPU's, for one compute
 * process. Drivers abort, hang and lose their device here.
 */
import { createEngine } from './engine/create';
import { OutOfMemoryError, type CompiledGraph, type Engine } from './engine/engine';
import { loadedLibraries } from './engine/libraries';
import type { EngineAnswer, EngineRequest } from './engine/messages';
import { unpackGraph } from './engine/packed-graph';
import { toFailure } from './errors';

let engine: Engine | undefined;
const graphs = new Map<number, CompiledGraph>();
let made = 0;
/** Answers go out in the order of the requests. */
let turn = Promise.resolve();

process.on('message', (request: EngineRequest) => {
  turn = turn.then(async () => send(await answer(request)));
});

// Without its parent nobody wants the answer.
process.once('disconnect', () => process.exit(0));

// Ctrl-C in a terminal goes to every process there; whoever started this one decides.
process.on('SIGINT', () => undefined);

async function answer(request: EngineRequest): Promise<EngineAnswer> {
  try {
    return await serve(request);
  } catch (error) {
    return { kind: 'failed', message: toFailure(error).message, outOfMemory: error instanceof OutOfMemoryError };
  }
}

async function serve(request: EngineRequest): Promise<EngineAnswer> {
  switch (request.kind) {
    case 'create': {
      engine = await createEngine(request.provider, request.threads, request.modules);
      return { kind: 'created', description: engine.description };
    }
    case 'compile': {
      const parameters = new Map(request.parameters.map((parameter) => [parameter.name, parameter]));
      const compiled = await engine!.compile(unpackGraph(request.graph), { parameters });
      graphs.set(made, compiled);
      return { kind: 'compiled', graph: made++, feeds: compiled.feeds };
    }
    case 'run':
      return { kind: 'results', results: await graphs.get(request.graph)!.run(request.feeds) };
    case 'dispose': {
      await graphs.get(request.graph)?.dispose();
      graphs.delete(request.graph);
      return { kind: 'disposed' };
    }
    case 'libraries':
      return { kind: 'libraries', paths: loadedLibraries() };
  }
}

/** Resolves when the message has left the process: a session blocks the event loop, and nothing would be sent. */
function send(message: EngineAnswer): Promise<void> {
  return new Promise((resolve) => process.send!(message, undefined, undefined, () => resolve()));
}
