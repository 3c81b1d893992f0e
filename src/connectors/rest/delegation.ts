import { CodedError } from '../../errors.ts';
import { OWN_KEYS } from '../../storage/cloud/identity.ts';
import { schemeOf } from '../../storage/location.ts';
import { DELEGATION } from './request-headers.ts';
import { ResponseError } from './response-error.ts';

/**
 * Statuses with which catalogs refuse to delegate access to storage: 400 (Polaris, if its store has no STS, or for a mode that it does not
 * support), 403 (if the principal may read the table but not its data: Polaris, Unity, Lakekeeper), 406, 422 and 501. They also have other
 * meanings.
 */
const REFUSALS: ReadonlySet<number> = new Set([400, 403, 405, 406, 422, 501]);

/** Servers that fail while they make credentials respond with 500. It may be transient, unless the message is about credentials. */
const ABOUT_CREDENTIALS = /credential|delegat|vend|remote.?sign|\bsts\b|assume.?role|sub-?scop|down-?scop/i;

/** Whether the error of a request for delegated access can mean that the catalog would answer a request without it. */
export function mayBeRefusedDelegation(error: unknown): error is ResponseError {
  if (!(error instanceof ResponseError)) return false;
  const { status, reported } = error;
  return REFUSALS.has(status) || (status === 500 && ABOUT_CREDENTIALS.test(`${reported?.type} ${reported?.message}`));
}

/**
 * @param delegation the access that was requested, as in the header
 * @param location of the table
 */
export function delegationRefused(error: ResponseError, delegation: string, location: string): CodedError {
  return new CodedError(
    'FAILED_PRECONDITION',
    `${error.message} The catalog refuses to delegate access to the table's storage (${DELEGATION}: ${delegation}), and the connector has no keys of ` +
      `its own for it. Let the catalog vend credentials to this principal. Or give the connector keys (${OWN_KEYS[schemeOf(location)]}), ` +
      "or set rest.access-delegation=none to read with the worker's own credentials.",
    { cause: error },
  );
}
