import { homedir } from 'node:os';
import { duration, grouped } from '../../../protocol/numbers';
import type { DoctorReport } from '../../../protocol/doctor';
import type { ProviderProbe } from '../../../protocol/providers';

/**
 * The report in Markdown, as it goes into a bug report: English, and the same
 * on a terminal and in the editor. The user's name in paths is left out.
 */
export function doctorText(report: DoctorReport, home = homedir()): string {
  const { memory, automatic } = report;
  const limit = memory.limit > 0 ? `, ${size(memory.limit)} allowed` : '';
  const sections = [
    `# Pruning Limit ${report.version}`,
    table([
      ['system', report.system],
      ['processor', `${report.processor}, ${report.threads} ${report.threads === 1 ? 'thread' : 'threads'}`],
      ['memory', `${size(memory.total)}, ${size(memory.free)} free${limit}`],
      ['GPU', report.devices.length > 0 ? report.devices.join('; ') : 'none found'],
      ['Node', report.node],
      ...(report.editor === null ? [] : [['editor', report.editor]]),
    ]),
    '## Engines',
    table(report.providers.map((probe) => [probe.provider, probe.available ? 'works' : '–', probeText(probe)])),
    automatic.providers.length > 0
      ? `\`auto\` tries ${automatic.providers.join(', then ')}, and takes what agrees with the CPU and is faster.`
      : `\`auto\` takes the CPU: ${automatic.reason}.`,
    ...(Object.keys(report.settings).length === 0
      ? []
      : ['## Settings', table(Object.entries(report.settings).map(([name, value]) => [name, String(value)]))]),
    ...(report.storage.length === 0
      ? []
      : [
          '## Storage',
          table(
            report.storage.map(({ path, bytes, folders, problem }) => [
              path,
              `${grouped(folders)} ${folders === 1 ? 'run' : 'runs'}, ${size(bytes)}`,
              problem ?? 'writable',
            ]),
          ),
        ]),
  ];
  return `${withoutHome(sections.join('\n\n'), home)}\n`;
}

function probeText({ available, engine, devices, versions, problem, seconds }: ProviderProbe): string {
  if (!available) return problem ?? 'not available';
  const libraries = versions.map(({ name, version }) => `${name} ${version}`.trim());
  return [engine, ...devices, ...libraries, `ready in ${duration(seconds)}`].join(', ');
}

/** Rows without a title, aligned, so that the text can be read as it is. */
function table(rows: readonly (readonly string[])[]): string {
  const cells = rows.map((row) => row.map((cell) => cell.replace(/[\r\n]+/g, ' ').replaceAll('|', '\\|')));
  const columns = Math.max(...cells.map((row) => row.length));
  // What stands last may be a sentence: nothing is aligned behind it.
  const widths = Array.from({ length: columns - 1 }, (_, i) => Math.max(...cells.map((row) => row[i]!.length)));
  const line = (row: readonly string[]): string =>
    `| ${row.map((cell, i) => cell.padEnd(widths[i] ?? 0)).join(' | ')} |`;
  return [line(Array.from({ length: columns }, () => '')), `|${' --- |'.repeat(columns)}`, ...cells.map(line)].join(
    '\n',
  );
}

function withoutHome(text: string, home: string): string {
  return home.length > 1 ? text.replaceAll(home, '~') : text;
}

function size(bytes: number): string {
  const units = ['B', 'KiB', 'MiB', 'GiB', 'TiB'];
  let [value, unit] = [bytes, 0];
  while (value >= 1024 && unit < units.length - 1) [value, unit] = [value / 1024, unit + 1];
  return `${unit === 0 ? value : value.toFixed(1)} ${units[unit]}`;
}
