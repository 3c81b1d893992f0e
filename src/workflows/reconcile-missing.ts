import type { Destination } from '../contract/activities.ts';
import type { NameChecksum } from '../contract/name-checksum.ts';
import { ingestOn } from './activity-proxies.ts';
import type { Run } from './run.ts';

/** Marks the tables and views of the catalog that a complete listing of the upstream no longer has. */
export async function reconcileMissing(
  run: Run,
  { before, listed, viewsListed }: Pick<Destination, 'before'> & { listed: NameChecksum; viewsListed: boolean },
): Promise<void> {
  const { job, gate, connector, request } = run;
  const { reconcileMissing } = ingestOn(connector);
  const options = { ...optionsOf(run), allowMissing: request.allowMissing };
  job.enterPhase('looking for tables that are gone');

  const tables = { ...options, viewsListed, listed, before: before.tables };
  job.addMissing('tables', await gate.whileActive(() => reconcileMissing(tables)));
  if (!viewsListed) return;
  const views = { ...options, views: true, before: before.views };
  job.addMissing('views', await gate.whileActive(() => reconcileMissing(views)));
}

/** Drops what has been missing, and the snapshots that have been expired, for as long as the connector's policy requires. */
export async function dropGone(run: Run, { viewsListed }: { viewsListed: boolean }): Promise<void> {
  const { job, gate, connector } = run;
  job.enterPhase('dropping what is gone');
  const input = { ...optionsOf(run), views: viewsListed };
  job.addDrops(await gate.whileActive(() => ingestOn(connector).dropGone(input)));
}

function optionsOf({ request: { mode, dryRun }, connector: { connectorId }, job }: Run) {
  return { connectorId, refused: job.hasRefusedNamespaces, mode, dryRun };
}
