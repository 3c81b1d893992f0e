import { CodedError, type CodeName } from '../../errors.ts';
import { LimitError, MalformedError } from '../../formats/malformed.ts';
import { paced } from '../../formats/paced.ts';

/**
 * Parses the response to `GET url`.
 *
 * @param expected such as `a listing`
 * @throws CodedError with the code `code` that names the URL and the field, if `parse` throws a MalformedError;
 *   `FAILED_PRECONDITION` if it throws a LimitError
 */
export function parseResponse<T>(url: string, expected: string, code: CodeName, parse: () => T): T {
  try {
    return parse();
  } catch (error) {
    throw unexpectedResponse(url, expected, code, error);
  }
}

/** The same with pauses. */
export async function parseLargeResponse<T>(
  url: string,
  expected: string,
  code: CodeName,
  parse: () => Generator<void, T>,
): Promise<T> {
  try {
    return await paced(parse());
  } catch (error) {
    throw unexpectedResponse(url, expected, code, error);
  }
}

function unexpectedResponse(url: string, expected: string, code: CodeName, error: unknown): unknown {
  if (error instanceof LimitError) {
    return new CodedError('FAILED_PRECONDITION', `GET ${url} returned too much: ${error.message}.`, { cause: error });
  }
  if (!(error instanceof MalformedError)) return error;
  return new CodedError(code, `GET ${url} returned something other than ${expected}: ${error.message}.`, {
    cause: error,
  });
}
