import type { CompatServiceDefinition } from 'nice-grpc';

/** Replaces a request that cannot be decoded. The error middleware returns INVALID_ARGUMENT for it. */
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
 * The same service definition, but requests that cannot be decoded become a `MalformedRequest`. Otherwise grpc-js would return INTERNAL.
 *
 * @param complete methods whose responses are complete messages, which are encoded as they are. Other responses are first copied to a
 *   complete message. If a response has thousands of files, that copy costs as much as the rest of the call.
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
