import { existsSync, readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';

/** The protos as a serialized google.protobuf.FileDescriptorSet, which the build writes next to the generated code. */
export function readDescriptorSet(): Uint8Array | undefined {
  const file = fileURLToPath(new URL('../../generated/descriptors.binpb', import.meta.url));
  return existsSync(file) ? readFileSync(file) : undefined;
}
