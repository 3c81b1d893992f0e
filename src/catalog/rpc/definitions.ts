import type { CompatServiceDefinition } from 'nice-grpc';

/** Stands in the place of a request whose bytes are no message; the error middleware answers it with INVALID_ARGUMENT. */
export class MalformedRequest {
  readonly reason: string;

  constructor(reason: string) {
    this.reason = reason;
  }
}

interface Message {
  encode(message: never): { finish(): Uint8Array };
  decode(input: Uint8Array): unknown;
  fromPartial?(message: never): unknown;
}

/**
 * The same service, with requests that decode to `Undecodable` where they cannot be decoded: grpc-js would answer INTERNAL
 * for them.
 *
 * @param complete methods that answer with complete messages: they are encoded as they are, while of others' answers a
 *   complete copy is made first. With thousands of files in an answer that copy costs as much as all the rest.
 */
export function lenientDefinition<Definition extends CompatServiceDefinition>(
  definition: Definition,
  { complete = [] }: { complete?: readonly string[] } = {},
): Definition {
  const { methods } = definition as unknown as {
    methods: Record<string, { requestType: Message; responseType: Message }>;
  };
  const wrapped = Object.entries(methods).map(([key, method]) => {
    const { requestType } = method;
    const responseType = complete.includes(key)
      ? { ...method.responseType, fromPartial: undefined }
      : method.responseType;
    const decode = (input: Uint8Array): unknown => {
      try {
        return requestType.decode(input);
      } catch (error) {
        return new MalformedRequest((error as Error).message);
      }
    };
    return [key, { ...method, responseType, requestType: { ...requestType, decode } }];
  });
  return { ...(definition as object), methods: Object.fromEntries(wrapped) } as Definition;
}

/** The same service, with one client-streaming method whose requests stay bytes: they are decoded by its implementation. */
export function rawRequests<Definition extends CompatServiceDefinition>(
  definition: Definition,
  method: string,
): Definition {
  const { methods } = definition as unknown as { methods: Record<string, { requestType: Message }> };
  const raw = methods[method] as { requestType: Message };
  const requestType = { ...raw.requestType, decode: (bytes: Uint8Array) => bytes };
  return { ...(definition as object), methods: { ...methods, [method]: { ...raw, requestType } } } as Definition;
}
