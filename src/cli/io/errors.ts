import { ClientError, Status } from 'nice-grpc-common';
import { TokenError } from '../../catalog-client/token-error.ts';
import { CodedError } from '../../errors.ts';
import { withNames } from './known-names.ts';
import { tlsProblem } from './tls-problem.ts';

/** Shell exit codes. */
export const EXIT = {
  DONE: 0,
  /** The job or the call failed. */
  FAILED: 1,
  /** Wrong usage: an unknown option, a bad value. */
  USAGE: 2,
  /** A server cannot be reached. */
  UNREACHABLE: 3,
  /** `apply --dry-run` found differences. */
  DIFFERENT: 4,
} as const;

/** A wrong value on the command line that the option parser cannot detect. */
export class UsageError extends Error {
  readonly hint?: string;
  constructor(message: string, hint?: string) {
    super(message);
    this.hint = hint;
  }
}

/** Something that was named does not exist; with what may have been meant. */
export class HintedError extends Error {
  readonly hint: string;
  constructor(message: string, hint: string) {
    super(message);
    this.hint = hint;
  }
}

/** Thrown by a command that has printed everything, to end with this exit code. */
export class ExitCode extends Error {
  readonly code: number;
  constructor(code: number) {
    super(`exit ${code}`);
    this.code = code;
  }
}

/** A call to the catalog service failed. */
export class CallError extends Error {
  override readonly cause: ClientError;
  /** Address of the service. */
  readonly address: string;
  /** Where its token is from; undefined if it had none. */
  readonly tokenSource?: string;
  constructor(cause: ClientError, address: string, tokenSource?: string) {
    super(cause.message, { cause });
    this.cause = cause;
    this.address = address;
    this.tokenSource = tokenSource;
  }
}

/** An error as it is shown: what went wrong, what to do about it, and the exit code. */
export interface Failure {
  message: string;
  hint?: string;
  exitCode: number;
}

/** The details that grpc-js reports if no server answered the call, unlike a server that returns UNAVAILABLE itself. */
const NO_CONNECTION =
  /No connection established|Name resolution failed|ECONNREFUSED|ECONNRESET|ENOTFOUND|EHOSTUNREACH|ETIMEDOUT|Connection dropped|Socket closed|read ECONN|Keepalive timeout/i;

/** Whether no server answered the call; false for a server that returned UNAVAILABLE because it cannot reach something else. */
export function isUnanswered(error: unknown): boolean {
  return error instanceof ClientError && error.code === Status.UNAVAILABLE && NO_CONNECTION.test(error.details);
}

/** The invalid fields of a request, by their paths in the protocol. Empty for other errors. */
export function violationsIn(error: unknown): { field: string; description: string }[] {
  const { extra } = (error ?? {}) as { extra?: { $type?: string; fieldViolations?: unknown[] }[] };
  const badRequests = (extra ?? []).filter(({ $type }) => $type === 'google.rpc.BadRequest');
  return badRequests.flatMap(({ fieldViolations }) => fieldViolations as { field: string; description: string }[]);
}

export function describeFailure(error: unknown): Failure {
  if (error instanceof UsageError) return { message: error.message, hint: error.hint, exitCode: EXIT.USAGE };
  if (error instanceof HintedError) return { message: error.message, hint: error.hint, exitCode: EXIT.FAILED };
  if (error instanceof CodedError) return { message: error.message, exitCode: exitCodeOf(error.code) };
  if (error instanceof CallError) return describeCall(error);
  return { message: (error as Error)?.message ?? String(error), exitCode: EXIT.FAILED };
}

function describeCall({ cause: error, address, tokenSource }: CallError): Failure {
  const code = Status[error.code];
  if (isUnanswered(error)) {
    const problem = tlsProblem(error.details, address);
    if (problem) return { ...problem, exitCode: EXIT.UNREACHABLE };
    return {
      message: `no catalog service answers at ${address}${reasonOf(error.details)}`,
      hint: 'start one with `reconciler up`, or set the address with --address or RECONCILER_ADDRESS',
      exitCode: EXIT.UNREACHABLE,
    };
  }
  return {
    message: withNames(error.details) || `${error.path}: ${code}`,
    hint: error instanceof TokenError ? undefined : (accessHint(error, tokenSource) ?? hintOf(code, error.details)),
    exitCode: exitCodeOf(code),
  };
}

/** Why there is no connection, in parentheses; empty if gRPC has no reason. */
function reasonOf(details: string): string {
  const why = details
    .replace(/^.*Last error: (Error: )?/, '')
    .replace(/\.?\s*Resolution note:[\s\S]*$/, '')
    .replace(/^null$/, '')
    .trim();
  return why && ` (${why.slice(0, 200)})`;
}

/** What to do about a caller that the service does not know, or that may not do this; undefined if there is nothing to add. */
function accessHint({ code, details }: ClientError, tokenSource: string | undefined): string | undefined {
  // The service's own message names the ways to get a token.
  if (code === Status.UNAUTHENTICATED)
    return tokenSource === undefined ? undefined : `the token is from ${tokenSource}`;
  if (code === Status.PERMISSION_DENIED && OF_CALLER.test(details))
    return '`reconciler token whoami` shows your roles and tenants; an admin can make a token that has others';
  return undefined;
}

/** Refusals of the caller itself, unlike those of an upstream or of a worker's policy. */
const OF_CALLER = /needs the (permission|role)|is not one of those of/;

function hintOf(code: string | undefined, details: string): string | undefined {
  const [, noun] = (code === 'NOT_FOUND' && /^(connector|job) /.exec(details)) || [];
  return noun ? `\`reconciler ${noun} list\` shows what exists` : HINTS[code ?? ''];
}

const HINTS: Record<string, string | undefined> = {
  UNIMPLEMENTED: 'the catalog service is older than this command line; use the same version of both',
  ABORTED: 'someone else changed it in the meantime; check it and try again',
};

function exitCodeOf(code: string | undefined): number {
  if (code === 'INVALID_ARGUMENT') return EXIT.USAGE;
  return code === 'UNAVAILABLE' ? EXIT.UNREACHABLE : EXIT.FAILED;
}
