import { invalid, type StatusCause, type Subject } from './api-error.ts';

/** Collects what is wrong with an object, each with its path, in the API's wording. */
export class FieldErrors {
  readonly causes: StatusCause[] = [];

  invalid(field: string, value: unknown, detail: string): void {
    this.#add('FieldValueInvalid', field, `Invalid value: ${shown(value)}: ${detail}`);
  }

  required(field: string, detail = ''): void {
    this.#add('FieldValueRequired', field, detail === '' ? 'Required value' : `Required value: ${detail}`);
  }

  duplicate(field: string, value: unknown): void {
    this.#add('FieldValueDuplicate', field, `Duplicate value: ${shown(value)}`);
  }

  forbidden(field: string, detail: string): void {
    this.#add('FieldValueForbidden', field, `Forbidden: ${detail}`);
  }

  notSupported(field: string, value: unknown, supported: readonly string[]): void {
    const list = [...supported].sort().map((name) => JSON.stringify(name));
    this.#add(
      'FieldValueNotSupported',
      field,
      `Unsupported value: ${shown(value)}: supported values: ${list.join(', ')}`,
    );
  }

  tooLong(field: string, max: number): void {
    this.#add('FieldValueTooLong', field, `Too long: may not be more than ${max} bytes`);
  }

  typeInvalid(field: string, value: unknown, detail: string): void {
    this.#add('FieldValueTypeInvalid', field, `Invalid value: ${shown(value)}: ${detail}`);
  }

  throwIfAny(subject: Subject, name: string): void {
    if (this.causes.length > 0) throw invalid(subject, name, this.causes);
  }

  #add(reason: string, field: string, message: string): void {
    this.causes.push({ reason, message, field });
  }
}

function shown(value: unknown): string {
  if (value === undefined) return '""';
  return JSON.stringify(value);
}
