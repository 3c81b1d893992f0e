import { CodedError, type CodeName } from '../../errors.ts';
import { withoutSecrets } from '../../secrets.ts';
import { type AwsError, awsError } from '../../storage/aws/errors.ts';

/** Glue throttles without a Retry-After; its quotas refill within seconds. */
const THROTTLED_WAIT_MS = 10_000;
/** Characters kept of AWS's message, which names principal, action and resource. */
const MAX_MESSAGE_LENGTH = 600;

/** Exceptions of Glue's API whose meaning their HTTP status, mostly 400, does not show. */
const EXCEPTIONS: Readonly<Record<string, readonly [code: CodeName, advice: string]>> = {
  AccessDeniedException: [
    'PERMISSION_DENIED',
    'Allow it to that principal in IAM and, if Lake Formation governs the tables, there too',
  ],
  GlueEncryptionException: ['PERMISSION_DENIED', 'The catalog is encrypted: allow kms:Decrypt on its key'],
  EntityNotFoundException: ['NOT_FOUND', ''],
  InvalidInputException: ['INVALID_ARGUMENT', ''],
  ValidationException: ['INVALID_ARGUMENT', ''],
  FederationSourceException: ['FAILED_PRECONDITION', 'The database is federated: check its source'],
  FederationSourceRetryableException: ['UNAVAILABLE', ''],
  ResourceNotReadyException: ['UNAVAILABLE', ''],
  OperationTimeoutException: ['DEADLINE_EXCEEDED', ''],
};

/** A call to Glue, for its error. */
export interface GlueCall {
  /** Named as in a policy: `glue:GetTables`. */
  action: string;
  /** The resource: `database sales`. */
  on: string;
  /** The endpoint or the region, and the catalog's id if it is not the account's own. */
  where: string;
  /** Which credentials were used: see `credentialsName`. */
  credentials: string;
}

/** Converts any failure of a call to an error that states the call, the response and what to do. */
export function glueError(error: unknown, { action, on, where, credentials }: GlueCall): CodedError {
  const failed = `${action} on ${on} (${where})`;
  if (error instanceof CodedError) return new CodedError(error.code, `${failed}: ${error.message}`, { cause: error });
  const { name = '', message = '' } = error as AwsError;
  const exception = Object.hasOwn(EXCEPTIONS, name) ? EXCEPTIONS[name] : undefined;
  if (exception === undefined) return withWait(awsError(error, { failed, where, credentials }));
  const [code, advice] = exception;
  const reported = withoutSecrets(`${name}: ${message}`).slice(0, MAX_MESSAGE_LENGTH).replace(/\.$/, '');
  return new CodedError(code, `${failed}: ${reported}${advice && `. ${advice}.`}`, { cause: error });
}

/** Adds a wait to a throttling error, so that the next attempt does not come too early. */
function withWait(error: CodedError): CodedError {
  if (error.code !== 'RESOURCE_EXHAUSTED' || error.retryAfterMs !== undefined) return error;
  return new CodedError(error.code, error.message, { cause: error.cause, retryAfterMs: THROTTLED_WAIT_MS });
}
