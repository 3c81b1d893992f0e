import { CodedError } from '../errors.ts';

/** What was opened as a table is something else, and not broken: for example a view in a folder, which only its metadata tells from a table. */
export class NotATableError extends CodedError {}
