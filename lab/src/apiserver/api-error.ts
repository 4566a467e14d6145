export interface StatusCause {
  reason: string;
  message: string;
  field: string;
}

export interface StatusDetails {
  name?: string;
  group?: string;
  kind?: string;
  uid?: string;
  causes?: StatusCause[];
  retryAfterSeconds?: number;
}

/** The `Status` object of a request that failed, in the words of the real API server. */
export interface Status {
  kind: 'Status';
  apiVersion: 'v1';
  metadata: object;
  status: 'Failure' | 'Success';
  message?: string;
  reason?: string;
  details?: StatusDetails;
  code: number;
}

/** A request refused: code and reason are the API's. */
export class ApiError extends Error {
  readonly code: number;
  readonly reason: string;
  readonly details: StatusDetails | undefined;

  constructor(code: number, reason: string, message: string, details?: StatusDetails) {
    super(message);
    this.name = 'ApiError';
    this.code = code;
    this.reason = reason;
    this.details = details;
  }

  toStatus(): Status {
    return {
      kind: 'Status',
      apiVersion: 'v1',
      metadata: {},
      status: 'Failure',
      message: this.message,
      reason: this.reason,
      ...(this.details && { details: this.details }),
      code: this.code,
    };
  }
}

/** What a message says about the resource: `services "web" not found`, `deployments.apps "web" already exists`. */
export interface Subject {
  group: string;
  plural: string;
  kind: string;
}

export function qualified({ group, plural }: Subject): string {
  return group === '' ? plural : `${plural}.${group}`;
}

function about(subject: Subject, name: string): StatusDetails {
  return { name, ...(subject.group !== '' && { group: subject.group }), kind: subject.plural };
}

export function notFound(subject: Subject, name: string): ApiError {
  return new ApiError(404, 'NotFound', `${qualified(subject)} "${name}" not found`, about(subject, name));
}

export function noSuchPath(): ApiError {
  return new ApiError(404, 'NotFound', 'the server could not find the requested resource', {});
}

export function alreadyExists(subject: Subject, name: string): ApiError {
  return new ApiError(409, 'AlreadyExists', `${qualified(subject)} "${name}" already exists`, about(subject, name));
}

export function conflict(subject: Subject, name: string, why: string): ApiError {
  const message = `Operation cannot be fulfilled on ${qualified(subject)} "${name}": ${why}`;
  return new ApiError(409, 'Conflict', message, about(subject, name));
}

export const staleWrite = 'the object has been modified; please apply your changes to the latest version and try again';

export function invalid(subject: Subject, name: string, causes: readonly StatusCause[]): ApiError {
  const texts = causes.map((cause) => `${cause.field}: ${cause.message}`);
  const listed = texts.length === 1 ? texts[0] : `[${texts.join(', ')}]`;
  const kindName = subject.group === '' ? subject.kind : `${subject.kind}.${subject.group}`;
  return new ApiError(422, 'Invalid', `${kindName} "${name}" is invalid: ${listed}`, {
    name,
    ...(subject.group !== '' && { group: subject.group }),
    kind: subject.kind,
    causes: [...causes],
  });
}

export function badRequest(message: string): ApiError {
  return new ApiError(400, 'BadRequest', message);
}

export function forbidden(subject: Subject, name: string, why: string): ApiError {
  const message = `${qualified(subject)} "${name}" is forbidden: ${why}`;
  return new ApiError(403, 'Forbidden', message, about(subject, name));
}

/** The version asked for is older than our history: the client must list again. */
export function expired(message: string): ApiError {
  return new ApiError(410, 'Expired', message);
}

export function methodNotAllowed(): ApiError {
  return new ApiError(405, 'MethodNotAllowed', 'the server does not allow this method on the requested resource', {});
}

export function unsupportedMediaType(given: string, accepted: readonly string[]): ApiError {
  const message = `the body of the request was in an unknown format - accepted media types include: ${accepted.join(', ')}`;
  return new ApiError(415, 'UnsupportedMediaType', given === '' ? message : `${message} (got ${given})`, {});
}

export function unauthorized(): ApiError {
  return new ApiError(401, 'Unauthorized', 'Unauthorized');
}

export function internalError(what: string): ApiError {
  return new ApiError(500, 'InternalError', `Internal error occurred: ${what}`, {});
}
