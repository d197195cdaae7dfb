/** A failure on the wire <-> the serialized error of core. Unknown codes become INTERNAL. */
import { ERROR_CODES, type ErrorCode, type SerializedError } from '../core/errors.js';
import type { Failure } from './gen/millrace/v1/control.js';

/** A report must not fill the records that keep it. */
const TEXT_LENGTH_MAX = 32_768;

export function failureToWire(error: SerializedError): Failure {
  const location = error.location ?? {};
  return {
    code: error.code,
    message: error.message,
    stack: error.stack ?? '',
    operator: location.operator ?? '',
    subtask: location.subtask,
    worker: location.worker ?? '',
  };
}

export function failureFromWire(failure: Failure | undefined): SerializedError {
  if (failure === undefined) {
    return { code: 'INTERNAL', message: 'INTERNAL: a failure was reported without its cause' };
  }
  return {
    code: Object.hasOwn(ERROR_CODES, failure.code) ? (failure.code as ErrorCode) : 'INTERNAL',
    message: failure.message.slice(0, TEXT_LENGTH_MAX),
    location: {
      ...(failure.operator === '' ? {} : { operator: failure.operator }),
      ...(failure.subtask === undefined ? {} : { subtask: failure.subtask }),
      ...(failure.worker === '' ? {} : { worker: failure.worker }),
    },
    ...(failure.stack === '' ? {} : { stack: failure.stack.slice(0, TEXT_LENGTH_MAX) }),
  };
}
