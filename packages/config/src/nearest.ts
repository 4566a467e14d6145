/** The word that differs least from `text`, if any is near enough to have been meant. */
export function nearest(text: string, words: readonly string[]): string | undefined {
  let best: string | undefined;
  // A third of the letters may differ, and no more than four.
  let bestDistance = Math.min(4, Math.max(1, Math.floor(text.length / 3))) + 1;
  for (const word of words) {
    const distance = editDistance(text.toLowerCase(), word.toLowerCase(), bestDistance);
    if (distance < bestDistance) [best, bestDistance] = [word, distance];
  }
  return best;
}

/** Levenshtein's distance; exact only below `limit`. */
function editDistance(a: string, b: string, limit: number): number {
  if (Math.abs(a.length - b.length) >= limit) return limit;
  let row = Array.from({ length: b.length + 1 }, (_, index) => index);
  for (let i = 1; i <= a.length; i++) {
    const next = [i];
    for (let j = 1; j <= b.length; j++) {
      const replace = (row[j - 1] ?? 0) + (a[i - 1] === b[j - 1] ? 0 : 1);
      next.push(Math.min(replace, (row[j] ?? 0) + 1, (next[j - 1] ?? 0) + 1));
    }
    row = next;
  }
  return row[b.length] ?? limit;
}
