import { inParallel } from './in-parallel.ts';
import { NAMESPACE } from './many-tables.ts';

/** Number of loads until Java has compiled the code; a server in production has been up for longer. */
const WARM_LOADS = 4_000;
const WIDTH = 8;
/** Jetty changes the ETags of compressed responses and does not recognise them in requests. */
const PLAIN = { 'accept-encoding': 'identity' };

/**
 * Loads tables from a REST server that has just started until it is warm.
 *
 * @returns the number of conditional loads (`If-None-Match` with the table's ETag) that the server then serves per second, which no client
 *   can exceed
 */
export async function warmRest(url: string, tables: readonly { name: string }[]): Promise<number> {
  const address = (name: string) => `${url}/v1/namespaces/${NAMESPACE}/tables/${name}`;
  const etags = new Map<string, string>();
  const rounds = Array.from({ length: Math.ceil(WARM_LOADS / tables.length) }, () => tables).flat();
  await inParallel(rounds, WIDTH, async ({ name }) => {
    const response = await fetch(address(name), { headers: PLAIN });
    await response.arrayBuffer();
    etags.set(name, response.headers.get('etag') ?? '');
  });
  const start = performance.now();
  const measured = rounds.slice(0, WARM_LOADS / 2);
  await inParallel(measured, WIDTH, async ({ name }) => {
    const response = await fetch(address(name), { headers: { ...PLAIN, 'if-none-match': etags.get(name) ?? '' } });
    await response.arrayBuffer();
    if (response.status !== 304) throw new Error(`${address(name)}: ${response.status}, 304 expected`);
  });
  return measured.length / ((performance.now() - start) / 1000);
}
