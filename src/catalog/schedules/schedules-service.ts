import { z } from 'zod';
import type { Schedule, SchedulesServiceImplementation } from '../../generated/reconciler/v1/schedules.ts';
import { inChunks } from '../core/in-chunks.ts';
import type { ServiceDeps } from '../core/ports.ts';
import { PageTokens, pageSize } from '../rpc/page-token.ts';
import { checkIds } from '../rpc/violations.ts';
import { findConnector, getConnector, listConnectors } from '../store/connectors/connectors.ts';

/** Pages run through the connectors by name, and then through the other schedules in Temporal. */
const tokens = new PageTokens(
  'ListSchedules',
  z.union([z.object({ name: z.string() }), z.object({ temporal: z.string() })]),
);

/** The service Schedules. */
export function createSchedulesService({ db, jobs, schedules }: ServiceDeps): SchedulesServiceImplementation {
  return {
    async listSchedules(request) {
      const size = pageSize(request.pageSize);
      const cursor = tokens.decode(request.pageToken, request.connectorId);
      if (request.connectorId !== '') {
        checkIds({ connector_id: request.connectorId });
        await getConnector(db, request.connectorId);
        return { schedules: present([await schedules.find(request.connectorId)]), nextPageToken: '' };
      }
      if (cursor && 'temporal' in cursor) return surplus(size, cursor.temporal);
      const { items, last } = await listConnectors(db, size, cursor?.name);
      const found = await inChunks(items, ({ connectorId }) => schedules.find(connectorId));
      const next = last ? { name: last.displayName } : { temporal: '' };
      return { schedules: present(found), nextPageToken: tokens.encode(next, '') };
    },

    repairSchedules: () => schedules.repair(),
  };

  /** A page of the schedules whose connector does not exist. */
  async function surplus(size: number, pageToken: string) {
    const found = await (await jobs()).schedules.list(size, pageToken);
    const listed = await inChunks(found.connectorIds, async (id) =>
      (await findConnector(db, id)) ? undefined : schedules.find(id),
    );
    const next = found.nextPageToken;
    return { schedules: present(listed), nextPageToken: next && tokens.encode({ temporal: next }, '') };
  }
}

const present = (schedules: (Schedule | undefined)[]) => schedules.filter((schedule) => schedule !== undefined);
