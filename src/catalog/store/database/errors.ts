import { CodedError } from '../../../errors.ts';

export type Kind = 'catalog' | 'namespace' | 'table' | 'view' | 'connector' | 'snapshot' | 'job' | 'schema';

export function notFound(kind: Kind, id: string): CodedError {
  return new CodedError('NOT_FOUND', `${kind} ${id} is not there`);
}

export function alreadyExists(kind: Kind, name: string, more = ''): CodedError {
  return new CodedError('ALREADY_EXISTS', `${kind} ${name} is already there${more}`);
}

/** The request's etag is not the stored one: somebody else changed the resource in between. */
export function staleEtag(kind: Kind, id: string): CodedError {
  return new CodedError(
    'ABORTED',
    `${kind} ${id} was changed meanwhile: read it again and repeat the change with its new etag`,
  );
}

/** Checks an etag as a precondition; an empty one is no precondition. */
export function checkEtag(kind: Kind, id: string, etag: string, stored: string): void {
  if (etag !== '' && etag !== stored) throw staleEtag(kind, id);
}
