import { spawn } from 'node:child_process';
import { createHash } from 'node:crypto';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { installed, runInstaller } from './cache.ts';

/** pyiceberg writes and reads Iceberg tables, deltalake (delta-rs) Delta tables, moto stands for AWS. */
const REQUIREMENTS = [
  'pyiceberg[pyarrow,sql-sqlite,glue]==0.11.1',
  'deltalake==1.6.6',
  'moto[glue,s3,sts,secretsmanager]==5.2.5',
  // Used to rewrite manifest lists.
  'fastavro[snappy,zstandard]==1.13.1',
  'flask',
  'flask-cors',
];

/** Path of a Python with pyiceberg (with pyarrow), boto3 and moto; installed the first time. */
export async function python(): Promise<string> {
  // Each list of requirements has its own folder.
  const version = createHash('sha256').update(REQUIREMENTS.join('\n')).digest('hex').slice(0, 8);
  const folder = await installed(`python-${version}`, async (unfinished) => {
    await runInstaller('python3', ['-m', 'venv', unfinished]);
    await runInstaller(join(unfinished, 'bin', 'python'), [
      ...['-m', 'pip', 'install', '--quiet', '--disable-pip-version-check', '--no-input'],
      ...REQUIREMENTS,
    ]);
  });
  // Only `bin/python` works after the folder is renamed, because the scripts beside it contain the old path.
  return join(folder, 'bin', 'python');
}

/**
 * Runs a Python script to its end and returns what it prints to stdout. If it fails, throws an error with its stderr.
 *
 * @param input written to the script's stdin as JSON
 */
export async function runPython(
  script: string,
  args: string[],
  options: { input?: unknown; env?: NodeJS.ProcessEnv } = {},
) {
  const child = spawn(await python(), [script, ...args], {
    env: { ...process.env, PYTHONDONTWRITEBYTECODE: '1', ...options.env },
    cwd: tmpdir(),
  });
  let [stdout, stderr] = ['', ''];
  child.stdout.setEncoding('utf8').on('data', (text) => {
    stdout += text;
  });
  child.stderr.setEncoding('utf8').on('data', (text) => {
    stderr = (stderr + text).slice(-20_000);
  });
  child.stdin.on('error', () => {});
  child.stdin.end(options.input === undefined ? '' : JSON.stringify(options.input));
  const code = await new Promise((resolve) => child.on('close', resolve));
  if (code !== 0) throw new Error(`${script} failed (${code}):\n${stderr}`);
  return stdout;
}
