/** Whole numbers on a command line: the same limits and the same words for every program. */
import { InvalidArgumentError } from 'commander';

/**
 * A reader of one flag's value.
 * @throws InvalidArgumentError (its reader) for anything but a whole number from `min` to `max`
 */
export function wholeNumber(min: number, max: number): (text: string) => number {
  return (text) => {
    const value = Number(text);
    if (text.trim() !== '' && Number.isInteger(value) && value >= min && value <= max) return value;
    throw new InvalidArgumentError(`give a whole number from ${min} to ${max}`);
  };
}
