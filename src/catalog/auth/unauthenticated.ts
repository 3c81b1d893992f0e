import { CodedError } from '../../errors.ts';

const HOW =
  'log in with `reconciler login`, or set RECONCILER_TOKEN or --token-file to a token that `reconciler token create` made. The catalog on this ' +
  'machine keeps the token of its owner in the file `token` of its data directory (RECONCILER_DATA_DIR)';

/** The call carries no token. */
export function tokenMissing(): CodedError {
  return new CodedError('UNAUTHENTICATED', `the catalog needs a token: ${HOW}.`);
}

/** The message is the same for every reason, so that it says nothing about the tokens that exist. */
export function tokenRefused(): CodedError {
  return new CodedError(
    'UNAUTHENTICATED',
    `the catalog does not accept this token: it is unknown, was revoked or has expired. To get another one, ${HOW}.`,
  );
}
