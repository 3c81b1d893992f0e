import { createCipheriv, createDecipheriv, randomBytes } from 'node:crypto';
import type { Payload, PayloadCodec } from '@temporalio/common';
import proto from '@temporalio/proto';
import type { CodecKeyReference } from '../config.ts';
import { CodedError } from '../errors.ts';

/** The payload's metadata `encoding`, as in Temporal's own samples. */
export const ENCRYPTED = 'binary/encrypted';
const KEY_ID = 'encryption-key-id';
const ALGORITHM = 'aes-256-gcm';
const KEY_BYTES = 32;
/** The length that GCM is designed for. Nonces are random, so a key is safe for 2^32 payloads (NIST SP 800-38D, 8.3). */
const NONCE_BYTES = 12;
const TAG_BYTES = 16;

const { Payload: PayloadMessage } = proto.temporal.api.common.v1;

/**
 * Encrypts whole payloads with AES-256-GCM; the data is the nonce (12 bytes), the ciphertext and the tag (16 bytes). The first key encrypts,
 * all keys decrypt. Payloads that are not encrypted are decoded unchanged, so that workflows started without a codec can continue.
 */
export class EncryptionCodec implements PayloadCodec {
  readonly #keys: ReadonlyMap<string, Buffer>;
  readonly #first: string;

  /** @param keys by id; at least one, each of 32 bytes */
  constructor(keys: ReadonlyMap<string, Buffer>) {
    this.#keys = keys;
    this.#first = keys.keys().next().value as string;
  }

  /** Id of the key that encrypts. */
  get keyId(): string {
    return this.#first;
  }

  async encode(payloads: Payload[]): Promise<Payload[]> {
    return payloads.map((payload) => this.#encrypt(payload));
  }

  /** @throws CodedError DATA_LOSS that names the key's id, if the key is missing or the payload does not belong to it */
  async decode(payloads: Payload[]): Promise<Payload[]> {
    return payloads.map((payload) =>
      text(payload.metadata?.encoding) === ENCRYPTED ? this.#decrypt(payload) : payload,
    );
  }

  #encrypt(payload: Payload): Payload {
    const nonce = randomBytes(NONCE_BYTES);
    const cipher = createCipheriv(ALGORITHM, this.#keys.get(this.#first)!, nonce).setAAD(
      additionalDataFor(this.#first),
    );
    const plain = PayloadMessage.encode(payload).finish();
    const data = Buffer.concat([nonce, cipher.update(plain), cipher.final(), cipher.getAuthTag()]);
    return { metadata: { encoding: Buffer.from(ENCRYPTED), [KEY_ID]: Buffer.from(this.#first) }, data };
  }

  #decrypt({ metadata, data }: Payload): Payload {
    // A payload from another source may contain anything.
    const id = text(metadata?.[KEY_ID]).slice(0, 100);
    const key = this.#keys.get(id);
    if (!key) {
      throw new CodedError(
        'DATA_LOSS',
        `A payload is encrypted with the key ${JSON.stringify(id)}, which RECONCILER_CODEC_KEYS does not have (it has ${[...this.#keys.keys()].join(', ')}). Add it after the first key.`,
      );
    }
    try {
      const bytes = Buffer.from(data ?? []);
      const decipher = createDecipheriv(ALGORITHM, key, bytes.subarray(0, NONCE_BYTES), { authTagLength: TAG_BYTES });
      decipher.setAAD(additionalDataFor(id)).setAuthTag(bytes.subarray(-TAG_BYTES));
      const plain = Buffer.concat([decipher.update(bytes.subarray(NONCE_BYTES, -TAG_BYTES)), decipher.final()]);
      return PayloadMessage.decode(plain);
    } catch (cause) {
      throw new CodedError(
        'DATA_LOSS',
        `A payload that is encrypted with the key ${id} cannot be decrypted: it was encrypted with another key of that id, or it was changed.`,
        { cause },
      );
    }
  }
}

/** Id of the key that a payload is encrypted with; undefined for a payload that is not encrypted. */
export function keyIdOf(payload: Payload | null | undefined): string | undefined {
  return text(payload?.metadata?.encoding) === ENCRYPTED ? text(payload?.metadata?.[KEY_ID]) : undefined;
}

/**
 * The additional data that GCM authenticates: a payload cannot be presented as one of another key or codec. It contains nothing about the
 * workflow, because the codec endpoint does not know to which one a payload belongs.
 */
const additionalDataFor = (keyId: string) => Buffer.from(`${ENCRYPTED}\0${keyId}`);

const text = (bytes: Uint8Array | null | undefined) => Buffer.from(bytes ?? []).toString('utf8');

/**
 * Reads the keys and returns the codec; undefined if there are no references.
 *
 * @throws CodedError that names the key's id and reference, if it cannot be read or is not a key of 32 bytes
 */
export async function openPayloadCodec(references: readonly CodecKeyReference[]): Promise<EncryptionCodec | undefined> {
  if (references.length === 0) return undefined;
  // Imported only here, because it loads the AWS SDK.
  const { resolveOwnReference } = await import('../storage/secret-reference.ts');
  const keys = new Map<string, Buffer>();
  for (const { id, reference } of references) {
    const setting = `RECONCILER_CODEC_KEYS: the key ${id}`;
    const key = parseKey(await resolveOwnReference(reference, setting, 'this process'));
    if (!key) {
      throw new CodedError(
        'FAILED_PRECONDITION',
        `${setting} (${reference}) is not a key of ${KEY_BYTES} bytes in base64 or hex. Generate one with \`openssl rand -base64 32\`.`,
      );
    }
    keys.set(id, key);
  }
  return new EncryptionCodec(keys);
}

function parseKey(secret: string): Buffer | undefined {
  const trimmed = secret.trim();
  const key = Buffer.from(trimmed, /^[0-9a-f]{64}$/i.test(trimmed) ? 'hex' : 'base64');
  // Buffer.from skips characters that are not base64.
  const isEncoded = /^([0-9a-f]{64}|[\w+/-]{43}=?)$/i.test(trimmed);
  return isEncoded && key.length === KEY_BYTES ? key : undefined;
}
