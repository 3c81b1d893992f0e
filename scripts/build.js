/**
 * Builds `dist`: generated protobuf code, compiled TypeScript, the other files of src, and the workflow bundles. The build writes to a
 * temporary folder, which replaces `dist` at the end, so that a failed build leaves the last good one in place.
 *
 * Types are checked by `npm run typecheck`, not here, so that a fresh clone starts quickly.
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
  // Packages contain the code of other people's protos.
  tool('buf', ['generate', '--exclude-path', 'proto/google', '--exclude-path', 'proto/grpc']);
  // Read by the server of gRPC reflection.
  tool('buf', ['build', '--as-file-descriptor-set', '-o', join(src, 'generated', 'descriptors.binpb')]);
  tool('tsc', ['-p', 'tsconfig.json', '--noCheck', '--outDir', target]);
  cpSync(src, target, { recursive: true, filter: (path) => statSync(path).isDirectory() || !path.endsWith('.ts') });
  await bundleWorkflows();
  // Record when the sources were read: a source that has changed since then has to be built again.
  writeFileSync(join(target, '.built'), '');
  utimesSync(join(target, '.built'), started, started);
  const old = `${target}-old`;
  const dist = join(root, 'dist');
  if (existsSync(dist)) renameSync(dist, old);
  renameSync(target, dist);
  rmSync(old, { recursive: true, force: true });
}

/**
 * Bundles the workflows, so that workers start without webpack and all run the same code. The second bundle is for workers with a
 * payload codec.
 */
async function bundleWorkflows() {
  const workflows = join(src, 'workflows', 'index.ts');
  if (!existsSync(workflows)) {
    console.error(`reconciler: no workflow bundle is built because ${relative(root, workflows)} is missing`);
    return;
  }
  const { bundleWorkflowCode, DefaultLogger } = await import('@temporalio/worker');
  const options = {
    workflowsPath: workflows,
    // As in worker.ts.
    workflowInterceptorModules: ['tracing.ts', 'tenant.ts'].map((file) => join(src, 'workflows', file)),
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

/** Removes the folders of builds that were killed. No other build runs now, because this one holds the lock. */
function clearLeftovers() {
  for (const name of readdirSync(root)) {
    if (/^\.build-\d+(-old)?$/.test(name)) rmSync(join(root, name), { recursive: true, force: true });
  }
}

try {
  // `--locked`: the caller holds the lock and waits for this process.
  if (process.argv.includes('--locked')) {
    await build();
  } else {
    await ensureInstalled();
    const { status } = await locked(() =>
      spawnSync(process.execPath, [fileURLToPath(import.meta.url), '--locked'], { stdio: 'inherit' }),
    );
    process.exitCode = status ?? 1;
  }
} catch (error) {
  rmSync(target, { recursive: true, force: true });
  console.error(error instanceof BootstrapError ? `reconciler: ${error.message}` : error);
  process.exitCode = 1;
}
