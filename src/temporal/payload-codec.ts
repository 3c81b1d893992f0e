import { createCipheriv, createDecipheriv, randomBytes } from 'node:crypto';
import type { Payload, PayloadCodec } from '@temporalio/common';
import proto from '@temporalio/proto';
import type { CodecKeyReference } from '../config.ts';
import { CodedError } from '../errors.ts';

/** The payload's metadata `encoding`, as Temporal's own samples have it. */
export const ENCRYPTED = 'binary/encrypted';
const KEY_ID = 'encryption-key-id';
const ALGORITHM = 'aes-256-gcm';
const KEY_BYTES = 32;
/** What GCM is made for; random, so that a key is good for 2^32 payloads (NIST SP 800-38D, 8.3). */
const NONCE_BYTES = 12;
const TAG_BYTES = 16;

const { Payload: PayloadMessage } = proto.temporal.api.common.v1;

/**
 * Encrypts payloads with AES-256-GCM: the data is nonce (12 bytes), ciphertext, tag (16 bytes) of the whole payload. The first key
 * encrypts, all of them decrypt. Payloads that are not encrypted pass, so that what was there before goes on.
 */
export class EncryptionCodec implements PayloadCodec {
  readonly #keys: ReadonlyMap<string, Buffer>;
  readonly #first: string;

  /** @param keys by id; 32 bytes each, at least one */
  constructor(keys: ReadonlyMap<string, Buffer>) {
    this.#keys = keys;
    this.#first = keys.keys().next().value as string;
  }

  /** Of the key that encrypts. */
  get keyId(): string {
    return this.#first;
  }

  async encode(payloads: Payload[]): Promise<Payload[]> {
    return payloads.map((payload) => this.#encrypt(payload));
  }

  /** @throws CodedError DATA_LOSS that names the key id */
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
    // A payload from elsewhere may say anything.
    const id = text(metadata?.[KEY_ID]).slice(0, 100);
    const key = this.#keys.get(id);
    if (!key) {
      throw new CodedError(
        'DATA_LOSS',
        `A payload is encrypted with the key ${JSON.stringify(id)}, which is not among those of RECONCILER_CODEC_KEYS (${[...this.#keys.keys()].join(', ')}): add it behind the first one.`,
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
        `A payload that is encrypted with the key ${id} cannot be decrypted: the key is another one than that which encrypted it, or the payload was changed.`,
        { cause },
      );
    }
  }
}

/** The key that a payload is encrypted with; undefined for one that is not. */
export function keyIdOf(payload: Payload | null | undefined): string | undefined {
  return text(payload?.metadata?.encoding) === ENCRYPTED ? text(payload?.metadata?.[KEY_ID]) : undefined;
}

/** A payload cannot pass as one of another key or another codec. The codec endpoint knows no more than this of where one stands. */
const additionalDataFor = (keyId: string) => Buffer.from(`${ENCRYPTED}\0${keyId}`);

const text = (bytes: Uint8Array | null | undefined) => Buffer.from(bytes ?? []).toString('utf8');

/**
 * The codec with its keys read; undefined where there are none.
 *
 * @throws CodedError that names the key's id and reference: it cannot be read, or is no key of 32 bytes
 */
export async function openPayloadCodec(references: readonly CodecKeyReference[]): Promise<EncryptionCodec | undefined> {
  if (references.length === 0) return undefined;
  // Loads AWS's SDK, which few need here.
  const { resolveReference } = await import('../storage/secret-reference.ts');
  const keys = new Map<string, Buffer>();
  for (const { id, reference } of references) {
    const place = `RECONCILER_CODEC_KEYS: the key ${id}`;
    const key = parseKey(await resolveReference(reference, place, { who: 'this process' }));
    if (!key) {
      throw new CodedError(
        'FAILED_PRECONDITION',
        `${place} (${reference}) is no key of ${KEY_BYTES} bytes in base64 or hex. Make one with \`openssl rand -base64 32\`.`,
      );
    }
    keys.set(id, key);
  }
  return new EncryptionCodec(keys);
}

function parseKey(secret: string): Buffer | undefined {
  const trimmed = secret.trim();
  const key = Buffer.from(trimmed, /^[0-9a-f]{64}$/i.test(trimmed) ? 'hex' : 'base64');
  // Buffer.from passes over what is no base64.
  const whole = /^([0-9a-f]{64}|[\w+/-]{43}=?)$/i.test(trimmed);
  return whole && key.length === KEY_BYTES ? key : undefined;
}
