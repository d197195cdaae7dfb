/**
 * Turns what a user's function throws into an error that names the operator and the record. It must
 * keep the original as cause, since its stack shows the user's file and line.
 */
import { isMillraceError, locateError, MillraceError } from '../../core/errors.js';
import { recordText } from '../../core/record-text.js';

/**
 * @param where the callback: "onElement", "onTimer", ...; empty for operators that have only one
 */
export function userCodeError(
  error: unknown,
  operator: string,
  where: string,
  record: unknown,
): MillraceError {
  const location = { operator, record: recordText(record) };
  if (isMillraceError(error)) return locateError(error, location);
  const message = error instanceof Error ? error.message : String(error);
  const callback = where === '' ? '' : ` in ${where}`;
  return new MillraceError(
    'USER_CODE_FAILED',
    `operator "${operator}" threw${callback}: ${message}; the record was ${location.record}`,
    { cause: error, location },
  );
}
