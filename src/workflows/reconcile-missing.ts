import type { JobClaim, StepOutcome } from '../contract/activities.ts';
import type { CaptureMode } from '../contract/job.ts';
import { scanOn } from './activity-proxies.ts';
import type { Run } from './run.ts';

/** Marks the tables and views of the catalog that a complete listing of the upstream no longer has. */
export async function reconcileMissing(run: Run): Promise<void> {
  const { request, place, destination, job } = run;
  const { allowMissing } = request;
  const { before } = destination;
  const viewsListed = place.viewsListed ?? false;
  if (place.missingDone) return;
  job.enterPhase('looking for tables that are gone');
  // Each time with the connector's queue as it is then.
  const upstream = ({ connector }: Run) => scanOn(connector, 'looks for what is gone');
  if (!place.noTableGone) {
    const tables = { allowMissing, viewsListed, before: before.tables, listed: place.tables };
    await pass(run, 'reconcileMissing', (options) => upstream(run).reconcileMissing({ ...options, ...tables }));
  }
  if (viewsListed && !place.noViewGone) {
    const views = { allowMissing, views: true, before: before.views, listed: place.views };
    await pass(run, 'reconcileMissing', (options) => upstream(run).reconcileMissing({ ...options, ...views }));
  }
  place.missingDone = true;
}

/** Drops what has been missing, and the snapshots that have been expired, for as long as the connector's policy requires. */
export async function dropGone(run: Run): Promise<void> {
  run.job.enterPhase('dropping what is gone');
  const views = run.place.viewsListed ?? false;
  const upstream = ({ connector }: Run) => scanOn(connector, 'drops what is gone');
  await pass(run, 'dropGone', (options) => upstream(run).dropGone({ ...options, views }));
}

interface Options extends JobClaim {
  step: string;
  refused: boolean;
  mode?: CaptureMode;
  dryRun?: boolean;
}

async function pass(run: Run, activityType: string, work: (options: Options) => Promise<StepOutcome>): Promise<void> {
  const { job, gate, request } = run;
  const { mode, dryRun } = request;
  await gate.pass(activityType, async () => {
    const step = job.begin();
    let outcome: StepOutcome | undefined;
    try {
      outcome = await work({ ...run.claim, step, refused: job.hasRefusedNamespaces, mode, dryRun });
    } finally {
      job.end(step, outcome?.counts);
    }
  });
}
