import type { Refusal } from '../cloud/cloud-errors.ts';

/** What an error response states: the JSON API's error, or plain text if an object was requested. */
export function gcsRefusal(body: string, where: string): Refusal {
  let code = '';
  let message = body.trim();
  try {
    const { error } = JSON.parse(body);
    code = String(error?.errors?.[0]?.reason ?? error?.status ?? '');
    message = String(error?.message ?? '');
  } catch {
    // Plain text.
  }
  const advice =
    'The identity needs the role Storage Object Viewer (storage.objects.get and storage.objects.list) for the bucket';
  const known = knownRefusal(code, message, where);
  return { code, message, advice, ...(known && { known }) };
}

function knownRefusal(code: string, message: string, where: string): Refusal['known'] {
  if (/bucket does not exist/i.test(message)) return ['NOT_FOUND', `there is no such bucket in ${where}`];
  if (code === 'userProjectMissing' || /requester pays/i.test(message)) {
    return ['FAILED_PRECONDITION', 'the requester pays for this bucket: set gcs.user-project to the project that pays'];
  }
  if (code === 'rateLimitExceeded' || code === 'userRateLimitExceeded') {
    return ['RESOURCE_EXHAUSTED', `${where} throttles requests (${code})`];
  }
  return undefined;
}
