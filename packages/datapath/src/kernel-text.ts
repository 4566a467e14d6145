/** C's text in a field of fixed size. */
export function textOf(bytes: ArrayLike<number>): string {
  const text = Buffer.from(Uint8Array.from(bytes)).toString('latin1');
  const end = text.indexOf('\0');
  return end < 0 ? text : text.slice(0, end);
}
