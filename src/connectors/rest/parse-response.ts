import { CodedError, type CodeName } from '../../errors.ts';
import { MalformedError } from '../../formats/malformed.ts';

/**
 * Parses the response to `GET url`.
 *
 * @param expected such as `a listing`
 * @throws CodedError with the code `code` that names the URL and the field, if `parse` throws a MalformedError
 */
export function parseResponse<T>(url: string, expected: string, code: CodeName, parse: () => T): T {
  try {
    return parse();
  } catch (error) {
    if (!(error instanceof MalformedError)) throw error;
    throw new CodedError(code, `GET ${url} returned something other than ${expected}: ${error.message}.`, {
      cause: error,
    });
  }
}
