import {
  type ConnectorsServiceImplementation,
  TriggerReconcileRequest,
} from '../../generated/reconciler/v1/connectors.ts';
import { parseName } from '../../names.ts';
import { Checks, checkIds } from '../rpc/violations.ts';
import { resolveConnector } from '../store/connectors/connectors.ts';
import { requestHash } from '../store/database/idempotency.ts';
import { checkColumns } from '../validation/connector-checks.ts';
import { checkSelection } from '../validation/selection-checks.ts';
import { requestOf } from './job-request.ts';
import type { JobStarter } from './start-job.ts';

/** The RPCs of the service Connectors that start a job and return a job. */
export function createTriggerRpcs({
  jobFor,
  status: { status },
}: JobStarter): Pick<ConnectorsServiceImplementation, 'triggerReconcile' | 'getReconcileJob'> {
  return {
    async triggerReconcile(request) {
      checkTrigger(request);
      return jobFor({
        scope: 'TriggerReconcile',
        idempotencyKey: request.idempotencyKey,
        hash: requestHash(TriggerReconcileRequest.encode(request).finish()),
        async prepare(trx) {
          const connector = await resolveConnector(trx, request.connectorId);
          return { connector, request: requestOf(connector, request) };
        },
      });
    },

    async getReconcileJob(request) {
      checkIds({ job_id: request.jobId });
      return status(request.jobId);
    },
  };
}

const MAX_PATHS = 1000;

function checkTrigger(request: TriggerReconcileRequest): void {
  const checks = new Checks();
  checks.id(request.connectorId, 'connector_id');
  const paths = request.destinationNamespacePaths;
  const field = 'destination_namespace_paths';
  checks.list(paths, field, MAX_PATHS);
  for (const [index, path] of paths.entries()) {
    try {
      parseName(path);
    } catch (error) {
      checks.that(false, `${field}[${index}]`, (error as Error).message);
    }
  }
  if (request.destinationTableName !== '') checks.upstreamName(request.destinationTableName, 'destination_table_name');
  checkColumns(checks, request.destinationColumns, 'destination_columns');
  checkSelection(checks, request.snapshots, 'snapshots');
  checks.text(request.idempotencyKey, 'idempotency_key', { max: 512 });
  checks.done();
}
