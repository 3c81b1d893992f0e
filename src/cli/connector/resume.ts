import type { Command } from 'commander';
import { ConnectorState } from '../../generated/reconciler/v1/connectors.ts';
import { withCatalog } from '../catalog-session/context.ts';
import { setState } from './set-state.ts';

const HELP = `
A paused job continues within seconds from its position.

Examples:
  $ reconciler connector resume lake`;

export function addResume(group: Command): void {
  group
    .command('resume')
    .description('Resumes a paused connector and its job.')
    .argument('<connector>', 'name or id')
    .addHelpText('after', HELP)
    .action(
      withCatalog(async (context, name: string) => {
        const { runningJobId } = await setState(context, name, ConnectorState.CONNECTOR_STATE_ACTIVE);
        if (runningJobId === '') return;
        context.out.note(`\njob ${runningJobId} continues; watch it: reconciler job watch ${runningJobId}`);
      }),
    );
}
