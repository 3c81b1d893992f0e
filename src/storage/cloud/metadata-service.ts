import type { IncomingHttpHeaders } from 'node:http';
import { type HttpSettings, sendRequest } from '../http/send-request.ts';

/** On machines of other clouds, and on none, packets to the service's address are lost. Azure's SDKs wait as long. */
const PROBE_MS = 1_000;
/** The service itself requests tokens; the time limit of Azure's is 10 s. */
const TOKEN_MS = 15_000;
/** How long a machine without the service is taken for one. */
const ABSENT_FOR_MS = 60_000;

interface Probe {
  /** For messages about the network. */
  via: HttpSettings['via'];
  /** The service's address, which the environment may change. */
  origin(): string;
  path: string;
  headers: Readonly<Record<string, string>>;
  /** Whether a response is that of this service. */
  isFrom(headers: IncomingHttpHeaders): boolean;
}

/** The service from which a machine of a cloud gets tokens, at an address that exists only there. */
export class MetadataService {
  readonly settings: HttpSettings;
  readonly #probe: Probe;
  #absentUntil = Number.NEGATIVE_INFINITY;

  constructor(probe: Probe) {
    this.#probe = probe;
    this.settings = {
      via: probe.via,
      proxy: 'none',
      isWorkersOwn: true,
      connectTimeoutMs: PROBE_MS,
      socketTimeoutMs: TOKEN_MS,
    };
  }

  get origin(): string {
    return this.#probe.origin();
  }

  /** Whether the service responds. If nothing does, nothing is sent for a minute. */
  async responds(): Promise<boolean> {
    if (performance.now() < this.#absentUntil) return false;
    const { path, headers, isFrom } = this.#probe;
    try {
      const settings = { ...this.settings, socketTimeoutMs: PROBE_MS };
      const response = await sendRequest({ method: 'GET', origin: this.origin, path, headers }, settings);
      response.destroy();
      return isFrom(response.headers);
    } catch {
      this.#absentUntil = performance.now() + ABSENT_FOR_MS;
      return false;
    }
  }
}
