import { existsSync, readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';

/** The protos as a serialized google.protobuf.FileDescriptorSet; the build writes it beside the generated code. */
export function readDescriptorSet(): Uint8Array | undefined {
  const file = fileURLToPath(new URL('../../generated/descriptors.binpb', import.meta.url));
  return existsSync(file) ? readFileSync(file) : undefined;
}
