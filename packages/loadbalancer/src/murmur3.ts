/** MurmurHash3_x86_32 by Austin Appleby, of ASCII: spreads well, and is quick in 32-bit arithmetic. No secret is safe behind it. */
export function murmur3(text: string, seed: number): number {
  const whole = text.length & ~3;
  let hash = seed;
  for (let at = 0; at < whole; at += 4) {
    const low = text.charCodeAt(at) | (text.charCodeAt(at + 1) << 8);
    const high = text.charCodeAt(at + 2) | (text.charCodeAt(at + 3) << 8);
    hash = Math.imul(rotate(hash ^ scrambled(low | (high << 16)), 13), 5) + 0xe6546b64;
  }
  let rest = 0;
  for (let at = text.length - 1; at >= whole; at -= 1) rest = (rest << 8) | text.charCodeAt(at);
  return mixed(hash ^ scrambled(rest) ^ text.length);
}

function scrambled(word: number): number {
  return Math.imul(rotate(Math.imul(word, 0xcc9e2d51), 15), 0x1b873593);
}

/** Every bit of the result depends on every bit. */
function mixed(hash: number): number {
  let word = Math.imul(hash ^ (hash >>> 16), 0x85ebca6b);
  word = Math.imul(word ^ (word >>> 13), 0xc2b2ae35);
  return (word ^ (word >>> 16)) >>> 0;
}

function rotate(word: number, bits: number): number {
  return (word << bits) | (word >>> (32 - bits));
}
