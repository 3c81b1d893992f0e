import type { CompatServiceDefinition } from 'nice-grpc';

/** Stands in the place of a request whose bytes are no message; the error middleware answers it with INVALID_ARGUMENT. */
export class Undecodable {
  readonly reason: string;

  constructor(reason: string) {
    this.reason = reason;
  }
}

interface Message {
  encode(message: never): { finish(): Uint8Array };
  decode(input: Uint8Array): unknown;
}

/**
 * The same service, with requests that decode to `Undecodable` where they cannot be decoded: grpc-js would answer INTERNAL
 * for them.
 */
export function tolerant<Definition extends CompatServiceDefinition>(definition: Definition): Definition {
  const { methods } = definition as unknown as { methods: Record<string, { requestType: Message }> };
  const wrapped = Object.entries(methods).map(([key, method]) => {
    const { requestType } = method;
    const decode = (input: Uint8Array): unknown => {
      try {
        return requestType.decode(input);
      } catch (error) {
        return new Undecodable((error as Error).message);
      }
    };
    return [key, { ...method, requestType: { ...requestType, decode } }];
  });
  return { ...(definition as object), methods: Object.fromEntries(wrapped) } as Definition;
}
