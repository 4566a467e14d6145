import { InvalidArgumentError } from 'commander';

/** For `.option('--count <n>', …, wholeNumber(1))`: a number that nobody checked would be NaN and wait for ever. */
export function wholeNumber(min: number): (text: string) => number {
  return (text) => {
    const number = /^\d{1,9}$/.test(text) ? Number(text) : Number.NaN;
    if (!(number >= min)) throw new InvalidArgumentError(`a whole number from ${min} on, such as ${Math.max(min, 10)}`);
    return number;
  };
}
