import type { Command } from 'commander';
import { ConnectorState } from '../../generated/reconciler/v1/connectors.ts';
import { withCatalog } from '../catalog-session/context.ts';
import { setState } from './set-state.ts';

const HELP = `
Its running job stops before the next table and keeps its position until the
connector is resumed. Meanwhile no job is started.

Examples:
  $ reconciler connector pause lake
  $ reconciler connector resume lake`;

export function addPause(group: Command): void {
  group
    .command('pause')
    .description('Pauses a connector and its running job.')
    .argument('<connector>', 'name or id')
    .addHelpText('after', HELP)
    .action(
      withCatalog(async (context, name: string) => {
        const { runningJobId } = await setState(context, name, ConnectorState.CONNECTOR_STATE_PAUSED);
        if (runningJobId === '') return;
        context.out.note(`\njob ${runningJobId} pauses; watch it: reconciler job watch ${runningJobId}`);
      }),
    );
}
