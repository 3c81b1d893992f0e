import { readdirSync } from 'node:fs';
import { join } from 'node:path';

/** The encodings in which a secret may appear. */
export function formsOf(secret: string): string[] {
  return [
    // The beginning of a secret reveals most of it.
    secret.slice(0, 10),
    secret,
    JSON.stringify(secret).slice(1, -1),
    JSON.stringify(JSON.stringify(secret)).slice(3, -3),
    encodeURIComponent(secret),
    new URLSearchParams({ '': secret }).toString().slice(1),
    // Two thirds of the text, because the text around it changes only the ends of its encoding.
    Buffer.from(secret).toString('base64').slice(0, -4),
  ];
}

/** Names of the secrets that the bytes contain, in plain form or in an encoded one. */
export function hiddenIn(secrets: Record<string, string>, bytes: Buffer): string[] {
  return Object.entries(secrets)
    .filter(([, secret]) => formsOf(secret).some((form) => bytes.includes(form)))
    .map(([name]) => name);
}

/** The paths of all files below a folder. */
export function filesBelow(folder: string): string[] {
  return readdirSync(folder, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile())
    .map((entry) => join(entry.parentPath, entry.name));
}
