/** Keeps secrets out of what is given away: by what is known to be one, by the name beside it, and by its shape. */
export interface Redaction {
  /** JSON without secrets; what is no JSON stays as it is. */
  object(value: unknown): unknown;
  text(text: string): string;
}

export const REDACTED = '[redacted]';

/** Shorter ones would take innocent text with them. */
const secretCharactersMin = 6;

/** Names of fields and variables whose value nobody else is to know. */
const secretName =
  /token|passw(or)?d|passphrase|secret|credential|private.?key|api.?key|access.?key|client.?key|key.?data|authorization|^(set.)?cookie$|bearer/i;
/** Fields of objects that hold whatever their owner put there; of an event, the bytes that somebody sent. */
const freeFields = new Set(['annotations', 'data', 'stringData', 'binaryData', 'packet']);
/** Repeats fields of the object, free ones among them. */
const dropped = new Set(['managedFields']);

/** A word of a command line whose next word is the secret. */
const secretOption = /^--?[\w-]{0,40}(?:token|password|secret|key)$/i;

const patterns: readonly (readonly [RegExp, string])[] = [
  [/-----BEGIN [A-Z ]*PRIVATE KEY-----[\s\S]*?(-----END [A-Z ]*PRIVATE KEY-----|$)/g, REDACTED],
  // A JSON web token, as service accounts have them.
  [/\beyJ[\w-]{8,}\.[\w-]+\.[\w-]*/g, REDACTED],
  [/\b(Bearer|Basic) +[\w.~+/=-]{6,}/gi, `$1 ${REDACTED}`],
  // https://user:password@host
  [/(:\/\/[^\s/:@]+:)[^\s/@]+(?=@)/g, `$1${REDACTED}`],
  // --token x
  [/(\s--[\w-]{0,40}(?:token|password|secret|key) +)(?!-)[^\s"',]+/gi, `$1${REDACTED}`],
  // --token=x, password: x, API_KEY=x, "secret": "x"; of the name only as much as is needed, or long texts take for ever.
  [
    /((?:token|passw(?:or)?d|passphrase|secret|credential|private[-_]?key|api[-_]?key|access[-_]?key)[\w-]{0,40}["']?\s{0,8}[=:]\s{0,8}["']?)(?!\[redacted\])[^\s"',;&}]+/gi,
    `$1${REDACTED}`,
  ],
];

/** `known` tells secrets themselves, wherever they turn up; they may become more. */
export function redaction(known: () => readonly string[] = () => []): Redaction {
  let told: readonly string[] = [];
  let secrets: readonly string[] = [];
  const text = (given: string): string => {
    const now = known();
    // Sorted once, and not for each word of a dump.
    if (now !== told) [told, secrets] = [now, ordered(now)];
    const unknown = secrets.reduce((rest, secret) => rest.replaceAll(secret, REDACTED), given);
    return patterns.reduce((rest, [pattern, instead]) => rest.replace(pattern, instead), unknown);
  };
  const object = (value: unknown): unknown => {
    if (typeof value === 'string') return text(value);
    if (Array.isArray(value)) {
      const isSecret = (index: number) => index > 0 && secretOption.test(String(value[index - 1]));
      return value.map((each, index) => (isSecret(index) && isScalar(each) ? REDACTED : object(each)));
    }
    if (typeof value !== 'object' || value === null) return value;
    const fields = Object.entries(value).filter(([name]) => !dropped.has(name));
    return Object.fromEntries(fields.map(([name, field]) => [text(name), fieldOf(name, field)]));
  };
  const fieldOf = (name: string, field: unknown): unknown => {
    if (name === 'env' && Array.isArray(field)) return field.map(variable);
    if (freeFields.has(name)) return valuesAway(field);
    return secretName.test(name) && isScalar(field) ? REDACTED : object(field);
  };
  return { object, text };
}

/** The longer first: one may be part of another. */
function ordered(secrets: readonly string[]): string[] {
  const found = [...new Set(secrets)].filter((secret) => secret.length >= secretCharactersMin);
  return found.sort((one, other) => other.length - one.length);
}

/** The name tells which one it is, and that it is set. */
function variable(given: unknown): unknown {
  const name: unknown = typeof given === 'object' && given !== null ? Reflect.get(given, 'name') : undefined;
  return { name, value: REDACTED };
}

function valuesAway(field: unknown): unknown {
  if (typeof field !== 'object' || field === null) return field === undefined ? undefined : REDACTED;
  return Object.fromEntries(Object.keys(field).map((name) => [name, REDACTED]));
}

function isScalar(field: unknown): boolean {
  return typeof field === 'string' || typeof field === 'number';
}
