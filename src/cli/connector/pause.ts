import type { Command } from 'commander';
import { ConnectorState } from '../../generated/reconciler/v1/connectors.ts';
import { withCatalog } from '../catalog-session/context.ts';
import { setState } from './set-state.ts';

const HELP = `
Its running job comes to rest at the next table and keeps its place, for as long as it takes; no job is started meanwhile.

Examples:
  $ reconciler connector pause lake
  $ reconciler connector resume lake`;

export function addPause(group: Command): void {
  group
    .command('pause')
    .description('Pauses a connector: its running job rests.')
    .argument('<connector>', 'name or id')
    .addHelpText('after', HELP)
    .action(
      withCatalog(async (context, name: string) => {
        const { runningJobId } = await setState(context, name, ConnectorState.CONNECTOR_STATE_PAUSED);
        if (runningJobId === '') return;
        context.out.note(`\njob ${runningJobId} comes to rest; see it: reconciler job watch ${runningJobId}`);
      }),
    );
}
