import { CodedError } from '../../../errors.ts';
import type { ConnectorSecrets } from '../../connector-secrets.ts';
import type { ResolvedSpec } from '../../connector-spec.ts';
import type { Authenticator, OutgoingRequest } from './authenticator.ts';

/**
 * Authenticates with the connector's secrets as they were last read. They are read again if the catalog refuses a request, or if the token endpoint
 * refuses the credential. Only if they are still the same does the authenticator itself get a chance to renew what it made of them, such as a token.
 *
 * @param build makes the authenticator of one state of the secrets
 * @throws errors of `build`, of which the first is called at once
 */
export async function rereadAuthenticator(
  secrets: ConnectorSecrets,
  build: (spec: ResolvedSpec) => Promise<Authenticator>,
): Promise<Authenticator> {
  let current = { spec: secrets.current, inner: await build(secrets.current) };
  /** The state with which a request was authenticated. */
  const states = new WeakMap<OutgoingRequest, typeof current>();

  const latest = async (): Promise<typeof current> => {
    const spec = secrets.current;
    if (current.spec !== spec) current = { spec, inner: await build(spec) };
    return current;
  };
  const authenticateIn = async (state: typeof current, request: OutgoingRequest): Promise<OutgoingRequest> => {
    const authenticated = await state.inner.authenticate(request);
    states.set(authenticated, state);
    return authenticated;
  };
  return {
    async authenticate(request) {
      const state = await latest();
      try {
        return await authenticateIn(state, request);
      } catch (error) {
        const isRefused = error instanceof CodedError && error.code === 'UNAUTHENTICATED';
        if (!isRefused || !(await secrets.renew(state.spec))) throw error;
        return authenticateIn(await latest(), request);
      }
    },
    async renew(rejected, status) {
      const state = states.get(rejected) ?? current;
      if (await secrets.renew(state.spec)) return true;
      return (await state.inner.renew?.(rejected, status)) ?? false;
    },
  };
}
