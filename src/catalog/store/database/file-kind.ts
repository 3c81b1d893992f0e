/** Kinds of files, as the `kind` columns store them. Files are listed in this order. */
export const DATA = 1;
export const POSITION_DELETES = 2;
export const EQUALITY_DELETES = 3;
export const DELETION_VECTOR = 4;

export type FileKind = typeof DATA | typeof POSITION_DELETES | typeof EQUALITY_DELETES | typeof DELETION_VECTOR;

export const FILE_KINDS: readonly FileKind[] = [DATA, POSITION_DELETES, EQUALITY_DELETES, DELETION_VECTOR];
