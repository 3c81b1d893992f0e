import { CodedError, type CodeName } from '../../errors.ts';
import { LimitError, MalformedError } from '../../formats/malformed.ts';
import { paced } from '../../formats/paced.ts';

/**
 * Parses a response.
 *
 * @param action the request, such as `GET https://host/v1/config`
 * @param expected such as `a listing`
 * @throws CodedError with the code `code` that names the request and the field, if `parse` throws a MalformedError;
 *   `FAILED_PRECONDITION` if it throws a LimitError
 */
export function parseResponse<T>(action: string, expected: string, code: CodeName, parse: () => T): T {
  try {
    return parse();
  } catch (error) {
    throw unexpectedResponse(action, expected, code, error);
  }
}

/** The same with pauses. */
export async function parseLargeResponse<T>(
  action: string,
  expected: string,
  code: CodeName,
  parse: () => Generator<void, T>,
): Promise<T> {
  try {
    return await paced(parse());
  } catch (error) {
    throw unexpectedResponse(action, expected, code, error);
  }
}

function unexpectedResponse(action: string, expected: string, code: CodeName, error: unknown): unknown {
  if (error instanceof LimitError) {
    return new CodedError('FAILED_PRECONDITION', `${action} returned too much: ${error.message}.`, { cause: error });
  }
  if (!(error instanceof MalformedError)) return error;
  return new CodedError(code, `${action} returned something other than ${expected}: ${error.message}.`, {
    cause: error,
  });
}
