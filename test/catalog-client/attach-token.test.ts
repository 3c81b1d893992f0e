import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { Status } from 'nice-grpc';
import type { CatalogAccess } from '../../src/catalog-client/access.ts';
import { connectCatalog } from '../../src/catalog-client/connect.ts';
import { withTenant } from '../../src/catalog-client/tenant.ts';
import { CodedError } from '../../src/errors.ts';
import { Role } from '../../src/generated/reconciler/v1/tokens.ts';
import { withoutSecrets } from '../../src/secrets.ts';
import { GuardedCatalog } from '../catalog/auth/clients.ts';

let guarded: GuardedCatalog;
beforeAll(async () => {
  guarded = await GuardedCatalog.start();
});
afterAll(async () => guarded[Symbol.asyncDispose]());

const newToken = async (...roles: Role[]) =>
  (await guarded.owner.tokens.createToken({ subject: 'test', roles })).secret;

/** A source with the token `current`; its calls. */
function source(current: string) {
  const state = { current, asked: [] as (string | undefined)[] };
  const token: CatalogAccess['token'] = async (refused) => {
    state.asked.push(refused);
    return state.current;
  };
  return { state, token };
}

function client(access: CatalogAccess, address = guarded.catalog.address) {
  const clients = connectCatalog(address, access);
  return { ...clients, [Symbol.dispose]: () => clients.close() };
}

describe('a client', () => {
  it('sends its token with every call but health checks', async () => {
    const { state, token } = source(await newToken(Role.ROLE_READER));
    using clients = client({ token });
    expect(await clients.tokens.getCaller({})).toMatchObject({ subject: 'test', roles: [Role.ROLE_READER] });
    await clients.health.check({ service: '' });
    expect(state.asked).toEqual([undefined]);
    expect(withoutSecrets(`sent ${state.current}`)).toBe('sent ***');
  });

  it('is not authenticated without one', async () => {
    using clients = client({});
    await expect(clients.connectors.listConnectors({})).rejects.toMatchObject({ code: Status.UNAUTHENTICATED });
  });

  it('repeats a refused call once, if there is another token by then', async () => {
    const valid = await newToken(Role.ROLE_READER);
    let calls = 0;
    using clients = client({ token: async () => (calls++ === 0 ? 'rct_old' : valid) });
    expect(await clients.tokens.getCaller({})).toMatchObject({ subject: 'test' });
    expect(calls).toBe(2);

    const wrong = source('rct_wrong');
    using others = client({ token: wrong.token });
    await expect(others.tokens.getCaller({})).rejects.toMatchObject({ code: Status.UNAUTHENTICATED });
    expect(wrong.state.asked).toEqual([undefined, 'rct_wrong']);
  });

  it('repeats a stream of responses, and fails a stream of requests with UNAVAILABLE', async () => {
    const valid = await newToken(Role.ROLE_ADMIN);
    const renewing = () => {
      let calls = 0;
      return async () => (calls++ === 0 ? 'rct_old' : valid);
    };
    using clients = client({ token: renewing() });
    const plan = async () => {
      for await (const _ of clients.plans.streamPlan({ tableId: 'tbl_0000000000000000000000' })) return 'a page';
      return 'nothing';
    };
    await expect(plan()).rejects.toMatchObject({ code: Status.NOT_FOUND });

    using writer = client({ token: renewing() });
    async function* requests() {
      yield { request: undefined };
    }
    await expect(writer.statistics.putFileColumnStats(requests())).rejects.toMatchObject({
      code: Status.UNAVAILABLE,
      details: 'the token was renewed during the call',
    });
  });

  it('fails with UNAUTHENTICATED and the reason if its source fails', async () => {
    const token = async () => {
      throw new CodedError('UNAUTHENTICATED', 'the vault is sealed');
    };
    using clients = client({ token });
    await expect(clients.tokens.getCaller({})).rejects.toMatchObject({
      code: Status.UNAUTHENTICATED,
      details: 'the vault is sealed',
    });
  });

  it('does not send a token without TLS beyond this machine, unless that is allowed', async () => {
    const { token } = source('rct_secret');
    // RFC 5737: nobody has this address.
    using clients = client({ token }, '192.0.2.1:7460');
    await expect(clients.tokens.getCaller({})).rejects.toMatchObject({
      code: 'FAILED_PRECONDITION',
      message: expect.stringMatching(
        /^the token is not sent to 192.0.2.1:7460 without TLS: .*RECONCILER_INSECURE_PLAINTEXT=1$/,
      ),
    });
    using allowed = client({ token, insecurePlaintext: true }, '192.0.2.1:7460');
    const abort = { signal: AbortSignal.timeout(200) };
    await expect(allowed.tokens.getCaller({}, abort)).rejects.not.toMatchObject({ code: 'FAILED_PRECONDITION' });
    // A name that only begins like this machine's.
    using similar = client({ token }, 'localhost.example.com:7460');
    await expect(similar.tokens.getCaller({})).rejects.toMatchObject({ code: 'FAILED_PRECONDITION' });
  });

  it('names its tenant, unless the work in progress names another', async () => {
    const { token } = source(await newToken(Role.ROLE_READER));
    using clients = client({ token, tenant: 'acme' });
    const list = () => clients.connectors.listConnectors({});
    await expect(list()).rejects.toMatchObject({ details: "tenant 'acme' is not one of those of 'test'" });
    await expect(withTenant('default', list)).resolves.toMatchObject({ connectors: [] });
  });
});
