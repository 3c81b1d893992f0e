/** Shorter secrets would match other text by chance. */
export const MIN_SECRET_LENGTH = 6;

/** The forms in which a secret can appear in a text: itself, JSON-escaped, percent-encoded, and within base64. */
export function formsOf(secret: string): string[] {
  const forms = new Set([secret, JSON.stringify(secret).slice(1, -1)]);
  try {
    const encoded = encodeURIComponent(secret);
    forms.add(encoded);
    forms.add(encoded.replaceAll('%20', '+'));
    forms.add(new URLSearchParams([['', secret]]).toString().slice(1));
  } catch {
    // A lone surrogate cannot be percent-encoded.
  }
  // In the base64 of `user:pass`, `pass` takes one of three forms, depending on the length of what precedes it.
  for (let before = 0; before < 3; before++) {
    const encoded = Buffer.from('\0'.repeat(before) + secret).toString('base64');
    const first = Math.ceil((before * 8) / 6);
    const last = Math.floor(((before + Buffer.byteLength(secret)) * 8) / 6);
    const inner = encoded.slice(first, last);
    if (inner.length >= MIN_SECRET_LENGTH) forms.add(inner);
  }
  return [...forms];
}
