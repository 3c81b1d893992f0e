import { mkdirSync, readdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { installed, runInstaller } from './cache.ts';
import { type Server, startServer } from './server.ts';

/** A folder with `prometheus` and `promtool`, from Debian's package, which is unpacked but not installed. */
export async function prometheusPrograms(): Promise<string> {
  const folder = await installed('prometheus', async (unfinished) => {
    // `apt-get download` writes to the current folder.
    await runInstaller('sh', [
      '-c',
      `cd '${unfinished}' && (apt-get download prometheus || (apt-get update && apt-get download prometheus))`,
    ]);
    const [package_ = ''] = readdirSync(unfinished).filter((file) => file.endsWith('.deb'));
    await runInstaller('dpkg', ['-x', join(unfinished, package_), unfinished]);
  });
  return join(folder, 'usr', 'bin');
}

/** Starts a real Prometheus that scrapes `targets` (host:port by job) and evaluates the rules every second. */
export async function startPrometheus(targets: Record<string, string>, ruleFile: string): Promise<Server> {
  const programs = await prometheusPrograms();
  return startServer({
    name: 'prometheus',
    command: join(programs, 'prometheus'),
    start: (port, folder) => {
      const config = {
        global: { scrape_interval: '1s', evaluation_interval: '1s' },
        rule_files: [ruleFile],
        scrape_configs: Object.entries(targets).map(([job_name, target]) => ({
          job_name,
          static_configs: [{ targets: [target] }],
        })),
      };
      // JSON is valid YAML.
      writeFileSync(join(folder, 'prometheus.yml'), JSON.stringify(config));
      mkdirSync(join(folder, 'data'));
      return {
        args: [
          `--config.file=${join(folder, 'prometheus.yml')}`,
          `--storage.tsdb.path=${join(folder, 'data')}`,
          `--web.listen-address=127.0.0.1:${port}`,
        ],
      };
    },
    readyPath: '/-/ready',
  });
}
