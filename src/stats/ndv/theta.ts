/** The halves of 2^63 - 1 (Java's `Long.MAX_VALUE`), which is theta while every hash is kept. */
export const MAX_HIGH = 0x7fff_ffff;

export const MAX_LOW = 0xffff_ffff;
