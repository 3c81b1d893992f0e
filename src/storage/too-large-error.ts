import { CodedError } from '../errors.ts';

/** A file or response has more bytes than its reader takes. It is not broken, and a retry would not help. */
export class TooLargeError extends CodedError {
  /** Absent if only the beginning was read. */
  readonly bytes?: number;

  constructor(message: string, bytes?: number) {
    super('FAILED_PRECONDITION', message);
    if (bytes !== undefined) this.bytes = bytes;
  }
}
