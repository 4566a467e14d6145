import { readFileSync } from 'node:fs';

/** A line of /proc/self/mountinfo, as far as we use it. */
export interface Mount {
  /** The part of the filesystem that is mounted; `/` unless it is a bind mount. */
  readonly root: string;
  readonly path: string;
  /** `cgroup2`, `bpf`, `sysfs`, ... */
  readonly type: string;
}

export function readMounts(path = '/proc/self/mountinfo'): readonly Mount[] {
  return parseMountinfo(readFileSync(path, 'utf8'));
}

/** Fields: id parent major:minor root path options [optional...] - type source super-options. See proc_pid_mountinfo(5). */
export function parseMountinfo(text: string): readonly Mount[] {
  return text.split('\n').flatMap((line) => {
    const fields = line.split(' ');
    const separator = fields.indexOf('-', 6);
    const [root, path, type] = [fields[3], fields[4], fields[separator + 1]];
    if (separator < 0 || !root || !path || !type) return [];
    return [{ root: unescapeOctal(root), path: unescapeOctal(path), type }];
  });
}

// The kernel writes space, tab, newline and backslash of a path as three octal digits.
function unescapeOctal(text: string): string {
  return text.replace(/\\([0-7]{3})/g, (_, digits: string) => String.fromCharCode(Number.parseInt(digits, 8)));
}
