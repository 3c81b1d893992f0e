import { CodedError, type CodeName } from '../../errors.ts';
import { withoutSecrets } from '../../secrets.ts';
import { type AwsError, awsError } from '../../storage/aws/errors.ts';

/** Glue's throttling says no Retry-After; its quotas refill within seconds. */
const THROTTLED_WAIT_MS = 10_000;
/** AWS's words, which name principal, action and resource, are kept to so many characters. */
const MAX_MESSAGE_LENGTH = 600;

/** Exceptions of Glue's API that mean something else here than by their HTTP status, which is mostly 400. */
const EXCEPTIONS: Readonly<Record<string, readonly [code: CodeName, advice: string]>> = {
  AccessDeniedException: [
    'PERMISSION_DENIED',
    'Allow it to that principal by IAM and, where it governs the tables, by Lake Formation',
  ],
  GlueEncryptionException: ['PERMISSION_DENIED', 'The catalog is encrypted: allow kms:Decrypt on its key'],
  EntityNotFoundException: ['NOT_FOUND', ''],
  InvalidInputException: ['INVALID_ARGUMENT', ''],
  ValidationException: ['INVALID_ARGUMENT', ''],
  FederationSourceException: ['FAILED_PRECONDITION', 'The database is federated: see to its source'],
  FederationSourceRetryableException: ['UNAVAILABLE', ''],
  ResourceNotReadyException: ['UNAVAILABLE', ''],
  OperationTimeoutException: ['DEADLINE_EXCEEDED', ''],
};

/** What was asked of which Glue, by whom. */
export interface GlueCall {
  /** `glue:GetTables`, as it stands in a policy. */
  action: string;
  /** `database sales` */
  on: string;
  /** The endpoint or the region, and the catalog's id if it is not the account's own. */
  where: string;
  /** Which credentials were used: see `credentialsName`. */
  credentials: string;
}

/** Any failure of a call, as an error that says what was asked for, what was answered and what to do. */
export function glueError(error: unknown, { action, on, where, credentials }: GlueCall): CodedError {
  const failed = `${action} on ${on} (${where})`;
  if (error instanceof CodedError) return new CodedError(error.code, `${failed}: ${error.message}`, { cause: error });
  const { name = '', message = '' } = error as AwsError;
  const exception = Object.hasOwn(EXCEPTIONS, name) ? EXCEPTIONS[name] : undefined;
  if (exception === undefined) return withWait(awsError(error, { failed, where, credentials }));
  const [code, advice] = exception;
  const said = withoutSecrets(`${name}: ${message}`).slice(0, MAX_MESSAGE_LENGTH).replace(/\.$/, '');
  return new CodedError(code, `${failed}: ${said}${advice && `. ${advice}.`}`, { cause: error });
}

/** Throttling goes with a wait, so that the next attempt does not meet it again. */
function withWait(error: CodedError): CodedError {
  if (error.code !== 'RESOURCE_EXHAUSTED' || error.retryAfterMs !== undefined) return error;
  return new CodedError(error.code, error.message, { cause: error.cause, retryAfterMs: THROTTLED_WAIT_MS });
}
