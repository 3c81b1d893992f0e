import { z } from 'zod';
import { scheduleIdOf, UNREADABLE } from '../../contract/schedule-control.ts';
import { DEFAULT_TENANT } from '../../contract/tenant.ts';
import {
  Schedule,
  ScheduleStatus,
  type SchedulesServiceImplementation,
} from '../../generated/reconciler/v1/schedules.ts';
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

  /**
   * A page of the tenant's schedules whose connector does not exist: those of deleted connectors and of other catalogs. What names no tenant is shown to
   * the default one.
   */
  async function surplus(size: number, pageToken: string) {
    const found = await (await jobs()).schedules.list(size, pageToken);
    const listed = await inChunks(found.schedules, async ({ connectorId, catalogId, tenant = DEFAULT_TENANT }) => {
      if (tenant !== db.tenant || (await findConnector(db, connectorId))) return undefined;
      return catalogId === UNREADABLE ? unreadable(connectorId) : schedules.find(connectorId);
    });
    const next = found.nextPageToken;
    return { schedules: present(listed), nextPageToken: next && tokens.encode({ temporal: next }, '') };
  }
}

/** A schedule of another catalog whose keys this one does not have: it cannot be described. */
function unreadable(connectorId: string): Schedule {
  const status = ScheduleStatus.SCHEDULE_STATUS_FOREIGN;
  return Schedule.fromPartial({ scheduleId: scheduleIdOf(connectorId), connectorId, status });
}

const present = (schedules: (Schedule | undefined)[]) => schedules.filter((schedule) => schedule !== undefined);
