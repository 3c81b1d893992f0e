import { type LookupAllOptions, lookup } from 'node:dns';
import { Server } from 'proxy-chain';

/** Names below this one exist for the proxy only; they are this machine. */
export const CORP = 'corp.invalid';

/** Like `lookup`, with the names of `CORP`. */
const lookupInCorp = ((name: string, ...rest: [LookupAllOptions, (...found: unknown[]) => void]) =>
  lookup(name.endsWith(CORP) ? '127.0.0.1' : name, ...rest)) as typeof lookup;

/** A forwarding proxy with CONNECT (`proxy-chain`), on a port of the loopback. */
export class ForwardProxy implements AsyncDisposable {
  /** What was asked of it: `http host:port` to be forwarded, `CONNECT host:port` for tunnels. */
  readonly asked: string[] = [];
  /** `user:password` that clients must send. */
  credentials?: string;
  readonly #server = new Server({
    host: '127.0.0.1',
    port: 0,
    prepareRequestFunction: ({ hostname, port, isHttp, username, password }) => {
      this.asked.push(`${isHttp ? 'http' : 'CONNECT'} ${hostname}:${port}`);
      return {
        requestAuthentication: this.credentials !== undefined && this.credentials !== `${username}:${password}`,
        dnsLookup: lookupInCorp,
      };
    },
  });

  static async start(): Promise<ForwardProxy> {
    const proxy = new ForwardProxy();
    await proxy.#server.listen();
    return proxy;
  }

  get port(): number {
    return this.#server.port;
  }

  get url(): string {
    return `http://127.0.0.1:${this.port}`;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#server.close(true);
  }
}

/** A URL with the same port, for which only the proxy knows the address. */
export function atCorp(url: string, name: string): string {
  return `http://${name}.${CORP}:${new URL(url).port}`;
}
