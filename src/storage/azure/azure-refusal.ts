import type { IncomingHttpHeaders } from 'node:http';
import type { Refusal } from '../cloud/cloud-errors.ts';

/** The signature or token is wrong or has expired. A SAS token that lacks a permission has other codes. */
const BAD_CREDENTIAL =
  /^(AuthenticationFailed|InvalidAuthenticationInfo|NoAuthenticationInformation|InvalidAuthenticationToken|ExpiredAuthenticationToken)$/;

/**
 * What an error response of the Blob service states. Only its header has the code in a response to HEAD.
 * https://learn.microsoft.com/rest/api/storageservices/blob-service-error-codes
 */
export function azureRefusal(headers: IncomingHttpHeaders, body: string, where: string): Refusal {
  const code = String(headers['x-ms-error-code'] ?? /<Code>([^<]+)<\/Code>/.exec(body)?.[1] ?? '');
  const message = /<Message>([^<]+)<\/Message>/.exec(body)?.[1]?.split('\n')[0] ?? '';
  const known = knownRefusal(code, where);
  return {
    code,
    message,
    isBadCredential: BAD_CREDENTIAL.test(code),
    ...(known && { known }),
    advice:
      code === 'AuthorizationFailure'
        ? "The account's firewall may refuse this network"
        : 'The identity needs the role Storage Blob Data Reader, or the SAS token the permissions r and l',
  };
}

function knownRefusal(code: string, where: string): Refusal['known'] {
  switch (code) {
    case 'BlobNotFound':
    case 'PathNotFound':
      return ['NOT_FOUND', `there is no such blob in ${where}`];
    case 'ContainerNotFound':
    case 'FilesystemNotFound':
      return ['NOT_FOUND', `there is no such container in ${where}`];
    case 'ContainerBeingDeleted':
      return ['NOT_FOUND', `the container is being deleted in ${where}`];
    case 'BlobArchived':
    case 'BlobBeingRehydrated':
      return ['FAILED_PRECONDITION', 'the blob is archived; move it to a tier that can be read'];
    case 'InvalidResourceName':
      return ['INVALID_ARGUMENT', 'the container or the path is not a valid name in Azure'];
    case 'ServerBusy':
      return ['RESOURCE_EXHAUSTED', `${where} throttles requests (${code})`];
    case 'KeyBasedAuthenticationNotPermitted':
      return [
        'PERMISSION_DENIED',
        `${where} accepts no account keys and no SAS tokens made of them: use a service principal or a managed identity`,
      ];
    case 'PublicAccessNotPermitted':
      return ['PERMISSION_DENIED', `${where} allows no access without credentials`];
    default:
      return undefined;
  }
}
