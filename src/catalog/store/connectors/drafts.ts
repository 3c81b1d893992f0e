import { CodedError } from '../../../errors.ts';
import { Connector } from '../../../generated/reconciler/v1/connectors.ts';
import { newDraftId } from '../../identity/ids.ts';
import type { Scoped } from '../database/scoped.ts';

/** Drafts of a tenant at a time. Each exists while its connector is validated, and is at most a megabyte. */
const MAX_DRAFTS = 200;

/**
 * Stores a connector that is to be validated.
 *
 * @returns the draft's id, which nobody can guess
 * @throws CodedError RESOURCE_EXHAUSTED if the tenant has too many
 */
export async function insertDraft(trx: Scoped, connector: Connector): Promise<string> {
  const { count } = await trx
    .selectFrom('connector_drafts')
    .select(({ fn }) => fn.countAll<number>().as('count'))
    .where('tenant_id', '=', trx.tenant)
    .executeTakeFirstOrThrow();
  if (Number(count) >= MAX_DRAFTS) {
    throw new CodedError('RESOURCE_EXHAUSTED', `${count} connectors are being validated at this time: try again later`);
  }
  const draftId = newDraftId();
  await trx
    .insertInto('connector_drafts')
    .values({
      draft_id: draftId,
      tenant_id: trx.tenant,
      body: JSON.stringify(Connector.toJSON(connector)),
      created_at: Date.now(),
    })
    .execute();
  return draftId;
}

/** @throws CodedError NOT_FOUND */
export async function getDraft(db: Scoped, draftId: string): Promise<Connector> {
  const row = await db
    .selectFrom('connector_drafts')
    .select('body')
    .where('draft_id', '=', draftId)
    .where('tenant_id', '=', db.tenant)
    .executeTakeFirst();
  if (row !== undefined) return Connector.fromJSON(JSON.parse(row.body));
  throw new CodedError(
    'NOT_FOUND',
    'the connector that is to be validated no longer exists in the catalog: validate it again',
  );
}

export async function deleteDraft(trx: Scoped, draftId: string): Promise<void> {
  await trx
    .deleteFrom('connector_drafts')
    .where('draft_id', '=', draftId)
    .where('tenant_id', '=', trx.tenant)
    .execute();
}
