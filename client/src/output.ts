import * as vscode from 'vscode';

/** What is written into the output besides, by the setting `pruningLimit.trace.server`. */
const SETTING = 'pruningLimit.trace.server';

/**
 * The output as the language client wants it for its trace. Left to itself the
 * client traces only while the output's log level is "Trace", whatever the
 * setting says; and there a trace would be hidden unless it is.
 */
export function traceChannel(output: vscode.LogOutputChannel): vscode.LogOutputChannel {
  const isOn = () => vscode.workspace.getConfiguration().get(SETTING, 'off') !== 'off';
  const level = () => (isOn() ? vscode.LogLevel.Trace : output.logLevel);
  const changes = new vscode.EventEmitter<vscode.LogLevel>();
  const listeners = [
    vscode.workspace.onDidChangeConfiguration((event) => {
      if (event.affectsConfiguration(SETTING)) changes.fire(level());
    }),
    output.onDidChangeLogLevel(() => changes.fire(level())),
  ];
  return {
    name: output.name,
    get logLevel() {
      return level();
    },
    onDidChangeLogLevel: changes.event,
    trace: (message, ...more) => (isOn() ? output.info(message, ...more) : output.trace(message, ...more)),
    debug: (message, ...more) => output.debug(message, ...more),
    info: (message, ...more) => output.info(message, ...more),
    warn: (message, ...more) => output.warn(message, ...more),
    error: (message, ...more) => output.error(message, ...more),
    append: (value) => output.append(value),
    appendLine: (value) => output.appendLine(value),
    replace: (value) => output.replace(value),
    clear: () => output.clear(),
    show: () => output.show(),
    hide: () => output.hide(),
    dispose: () => {
      for (const listener of [...listeners, changes]) listener.dispose();
    },
  };
}
