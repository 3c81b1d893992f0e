import type { Client } from '@temporalio/client';
import { SEARCH_ATTRIBUTES } from './search-attributes.ts';

const known = new WeakMap<Client, Promise<boolean>>();

/** Whether the namespace has the attributes. Asked once a client: they are registered before workers start. */
export function hasSearchAttributes(client: Client): Promise<boolean> {
  let answer = known.get(client);
  if (!answer) {
    answer = client.connection.operatorService
      .listSearchAttributes({ namespace: client.options.namespace })
      .then(({ customAttributes }) =>
        Object.values(SEARCH_ATTRIBUTES).every(({ name }) => name in (customAttributes ?? {})),
      )
      // Where the caller may not list them, they are not used.
      .catch(() => false);
    known.set(client, answer);
  }
  return answer;
}
