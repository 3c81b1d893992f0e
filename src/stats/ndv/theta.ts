/** 2^63 - 1, Java's `Long.MAX_VALUE`: nothing was left out yet. */
export const MAX_HIGH = 0x7fff_ffff;

export const MAX_LOW = 0xffff_ffff;
