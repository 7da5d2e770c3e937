/**
 * What every provider can do on this machine, as a table:
 *
 *     probe [ENGINE_PROCESS [MODULES]]
 */
import { join } from 'node:path';
import { probeProviders } from '../server/src/jobs/provider-probe';

async function main(): Promise<void> {
  const [entry = join(__dirname, 'engine-process.js'), modules = process.cwd()] = process.argv.slice(2);
  for (const probe of await probeProviders(entry, { modules: [modules] })) {
    const versions = probe.versions.map(({ name, version }) => `${name} ${version}`.trim());
    const found = [probe.engine, ...probe.devices, ...versions].filter((part) => part !== '').join(', ');
    const state = probe.available ? `works (${probe.seconds.toFixed(1)} s): ${found}` : `not here: ${probe.problem}`;
    console.log(`${probe.provider.padEnd(8)} ${state}`);
  }
}

void main();
