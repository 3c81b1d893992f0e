import { CodedError, type CodeName } from '../../errors.ts';
import { MalformedError } from '../../formats/malformed.ts';

/**
 * What `parse` makes of the answer to `GET url`.
 *
 * @param wanted such as `a listing`
 * @throws CodedError with the code that names the URL and the field, where `parse` found the answer malformed
 */
export function parsedAnswer<T>(url: string, wanted: string, code: CodeName, parse: () => T): T {
  try {
    return parse();
  } catch (error) {
    if (!(error instanceof MalformedError)) throw error;
    throw new CodedError(code, `GET ${url} was answered with something else than ${wanted}: ${error.message}.`, {
      cause: error,
    });
  }
}
