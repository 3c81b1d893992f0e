import { type AwsCredentialProvider, type AwsService, awsCredentials } from '../storage/aws/credentials.ts';
import { Rereadable } from '../storage/rereadable.ts';
import type { StoreOptions } from '../storage/store-options.ts';
import type { ResolvedSpec } from './connector-spec.ts';
import { remembered } from './remembered.ts';

type Properties = ResolvedSpec['properties'];

/** The secrets of an opened connector, which are read again when an upstream refuses them. */
export class ConnectorSecrets {
  readonly #held: Rereadable<ResolvedSpec>;

  /**
   * @param spec the connector with its secrets as they are now
   * @param resolve reads them again; absent if they cannot change
   */
  constructor(spec: ResolvedSpec, resolve: () => Promise<ResolvedSpec> = async () => spec) {
    this.#held = new Rereadable(resolve, spec);
  }

  /** The connector with its secrets as they were last read. The same object as long as they are the same. */
  get current(): ResolvedSpec {
    return this.#held.value as ResolvedSpec;
  }

  /**
   * Reads the secrets again after those of `refused` were refused.
   *
   * @returns whether there are others now
   */
  renew(refused: ResolvedSpec): Promise<boolean> {
    return this.#held.renew(refused);
  }

  /** The properties of a store, made of the connector. */
  storeOptions(propertiesOf: (spec: ResolvedSpec) => Properties): Pick<StoreOptions, 'properties' | 'reread'> {
    const known = remembered(propertiesOf);
    return {
      properties: known(this.current),
      reread: async (refused) => {
        if (known(this.current) === refused) await this.renew(this.current);
        return known(this.current);
      },
    };
  }

  /** The AWS credentials that the connector's properties select: the connector's own keys, or the worker's. */
  awsCredentials(service: AwsService, propertiesOf: (spec: ResolvedSpec) => Properties): AwsCredentialProvider {
    const known = remembered(propertiesOf);
    const provider = () => awsCredentials(known(this.current), service);
    return Object.assign(async () => provider()(), {
      memoized: true as const,
      renew: async (refused: Awaited<ReturnType<AwsCredentialProvider>>) => {
        const spec = this.current;
        return (await provider()()) !== refused || (await provider().renew(refused)) || (await this.renew(spec));
      },
    });
  }
}
