const CHARACTERS = '0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ.-:+=^!/*?&<>()[]{}@%$#';
const VALUES = new Map([...CHARACTERS].map((character, value) => [character, value]));

/** Decodes Z85 (ZeroMQ RFC 32): four bytes in five characters. @returns undefined if the text is not Z85 */
export function decodeZ85(text: string): Buffer | undefined {
  if (text.length % 5 !== 0) return undefined;
  const bytes = Buffer.alloc((text.length / 5) * 4);
  for (let at = 0; at < text.length; at += 5) {
    let word = 0;
    for (let i = at; i < at + 5; i++) {
      const value = VALUES.get(text[i] as string);
      if (value === undefined) return undefined;
      word = word * 85 + value;
    }
    if (word >= 2 ** 32) return undefined;
    bytes.writeUInt32BE(word, (at / 5) * 4);
  }
  return bytes;
}
