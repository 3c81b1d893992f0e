import { CodedError } from '../../../errors.ts';

export type Kind =
  | 'tenant'
  | 'token'
  | 'catalog'
  | 'namespace'
  | 'table'
  | 'view'
  | 'connector'
  | 'snapshot'
  | 'job'
  | 'schema';

export function notFound(kind: Kind, id: string): CodedError {
  return new CodedError('NOT_FOUND', `${kind} ${id} does not exist`);
}

export function alreadyExists(kind: Kind, name: string, more = ''): CodedError {
  return new CodedError('ALREADY_EXISTS', `${kind} ${name} already exists${more}`);
}

/** ABORTED: the request's etag is not the stored one, so another caller changed the resource meanwhile. */
export function staleEtag(kind: Kind, id: string): CodedError {
  return new CodedError(
    'ABORTED',
    `${kind} ${id} was changed meanwhile (its etag differs): read it again and repeat the change with its new etag`,
  );
}

/** Checks the etag of a request, if it has one. @throws CodedError ABORTED if it is not the stored one */
export function checkEtag(kind: Kind, id: string, etag: string, stored: string): void {
  if (etag !== '' && etag !== stored) throw staleEtag(kind, id);
}
