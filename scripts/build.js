/**
 * Builds `dist`: generated protobuf code, compiled TypeScript, other files of src, and the workflow bundle. All of it goes
 * into a folder beside, which takes the place of `dist` at the end: a build that fails leaves the last good one.
 *
 * Types are not checked here (`npm run typecheck` does), so that a fresh clone runs soon.
 */
import { spawnSync } from 'node:child_process';
import {
  cpSync,
  existsSync,
  mkdirSync,
  readdirSync,
  renameSync,
  rmSync,
  statSync,
  utimesSync,
  writeFileSync,
} from 'node:fs';
import { join, relative } from 'node:path';
import { fileURLToPath } from 'node:url';
import { BootstrapError, ensureInstalled, locked, root } from './bootstrap.js';

const src = join(root, 'src');
const target = join(root, `.build-${process.pid}`);

async function build() {
  const started = new Date();
  clearLeftovers();
  tool('buf', ['generate']);
  // For gRPC reflection.
  tool('buf', ['build', '--as-file-descriptor-set', '-o', join(src, 'generated', 'descriptors.binpb')]);
  tool('tsc', ['-p', 'tsconfig.json', '--noCheck', '--outDir', target]);
  cpSync(src, target, { recursive: true, filter: (path) => statSync(path).isDirectory() || !path.endsWith('.ts') });
  await bundleWorkflows();
  // The time at which the sources were read, not now: what changed meanwhile has to be built again.
  writeFileSync(join(target, '.built'), '');
  utimesSync(join(target, '.built'), started, started);
  const old = `${target}-old`;
  const dist = join(root, 'dist');
  if (existsSync(dist)) renameSync(dist, old);
  renameSync(target, dist);
  rmSync(old, { recursive: true, force: true });
}

/**
 * Bundled once here, so that a worker starts without webpack and every worker runs the same code. Twice: the second one is for workers
 * with a payload codec.
 */
async function bundleWorkflows() {
  const workflows = join(src, 'workflows', 'index.ts');
  if (!existsSync(workflows)) {
    console.error(`reconciler: no workflow bundle, since ${relative(root, workflows)} is missing`);
    return;
  }
  const { bundleWorkflowCode, DefaultLogger } = await import('@temporalio/worker');
  const options = {
    workflowsPath: workflows,
    workflowInterceptorModules: [join(src, 'workflows', 'tracing.ts')],
    logger: new DefaultLogger('WARN'),
  };
  const failureConverterPath = join(src, 'temporal', 'encoded-failures.cjs');
  const [plain, encoding] = await Promise.all([
    bundleWorkflowCode(options),
    bundleWorkflowCode({ ...options, failureConverterPath }),
  ]);
  writeFileSync(join(target, 'workflow-bundle.js'), plain.code);
  writeFileSync(join(target, 'workflow-bundle-encoding.js'), encoding.code);
}

function tool(name, args) {
  mkdirSync(target, { recursive: true });
  const { status, error } = spawnSync(join(root, 'node_modules', '.bin', name), args, {
    cwd: root,
    stdio: ['ignore', 2, 2],
  });
  if (error || status !== 0)
    throw new BootstrapError(`${name} ${args[0]} failed: ${error?.message ?? `exit ${status}`}`);
}

/** Folders of builds that were killed. Nobody else builds now: this one holds the lock. */
function clearLeftovers() {
  for (const name of readdirSync(root)) {
    if (/^\.build-\d+(-old)?$/.test(name)) rmSync(join(root, name), { recursive: true, force: true });
  }
}

try {
  // `--locked`: the caller has the lock, and waits for this process.
  if (process.argv.includes('--locked')) {
    await build();
  } else {
    ensureInstalled();
    const { status } = locked(() =>
      spawnSync(process.execPath, [fileURLToPath(import.meta.url), '--locked'], { stdio: 'inherit' }),
    );
    process.exitCode = status ?? 1;
  }
} catch (error) {
  rmSync(target, { recursive: true, force: true });
  console.error(error instanceof BootstrapError ? `reconciler: ${error.message}` : error);
  process.exitCode = 1;
}
