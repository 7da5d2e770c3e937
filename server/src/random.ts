/**
 * Seeded random numbers: xoshiro128** (Blackman & Vigna 2018, 32-bit state
 * words, period 2¹²⁸ − 1), seeded through splitmix32 so that neighbouring seeds
 * give unrelated states.
 *
 * Every use draws from its own stream, `Random.stream(seed, name)`, so that
 * adding a use, or reordering two, leaves the numbers of all others as they
 * were. Not for cryptography.
 */
export class Random {
  private spare: number | null = null;

  private constructor(private readonly state: Uint32Array) {}

  /**
   * The stream called `name` under `seed`: same pair, same numbers, on every
   * machine. `seed` is any finite number; its 64 bits are all used.
   */
  static stream(seed: number, name: string | number): Random {
    const bits = new Uint32Array(new Float64Array([seed]).buffer);
    const start = fnv1a(String(name));
    const mix = splitmix32(start);
    // Folding the seed in between outputs keeps (seed, name) pairs from
    // colliding as they would if the two hashes were merely added.
    const low = splitmix32((mix() ^ bits[0]!) >>> 0);
    const high = splitmix32((low() ^ bits[1]!) >>> 0);
    return Random.fromState([mix() ^ high(), high() ^ low(), high(), high()]);
  }

  /** From the generator's four state words, not all zero: for reference vectors. */
  static fromState(words: readonly [number, number, number, number]): Random {
    const state = Uint32Array.from(words, (word) => word >>> 0);
    if (state.every((word) => word === 0)) state[0] = 0x9e3779b9;
    return new Random(state);
  }

  /** 32 uniform bits as an unsigned integer. */
  uint32(): number {
    const s = this.state;
    const result = Math.imul(rotateLeft(Math.imul(s[1]!, 5), 7), 9) >>> 0;
    const shifted = s[1]! << 9;
    s[2]! ^= s[0]!;
    s[3]! ^= s[1]!;
    s[1]! ^= s[2]!;
    s[0]! ^= s[3]!;
    s[2]! ^= shifted;
    s[3] = rotateLeft(s[3]!, 11);
    return result;
  }

  /** Uniform in [0, 1), 53 bits. */
  uniform(): number {
    const high = this.uint32() >>> 5;
    const low = this.uint32() >>> 6;
    return (high * 67108864 + low) / 9007199254740992;
  }

  /** A uniform integer in [0, bound), without modulo bias; `bound` in 1 … 2³². */
  below(bound: number): number {
    if (!(Number.isInteger(bound) && bound >= 1 && bound <= 4294967296)) {
      throw new RangeError(`random bound out of range: ${bound} (1 to 2^32)`);
    }
    const limit = 4294967296 - (4294967296 % bound);
    let value = this.uint32();
    while (value >= limit) value = this.uint32();
    return value % bound;
  }

  /** Standard normal, by Marsaglia's polar method. */
  gaussian(): number {
    if (this.spare !== null) {
      const value = this.spare;
      this.spare = null;
      return value;
    }
    for (;;) {
      const x = 2 * this.uniform() - 1;
      const y = 2 * this.uniform() - 1;
      const square = x * x + y * y;
      if (square >= 1 || square === 0) continue;
      const factor = Math.sqrt((-2 * Math.log(square)) / square);
      this.spare = y * factor;
      return x * factor;
    }
  }

  /** A probe with independent entries ±1, of `length`; one bit of the stream per entry. */
  rademacher(length: number): Float32Array {
    const probe = new Float32Array(length);
    for (let start = 0; start < length; start += 32) {
      let bits = this.uint32();
      const end = Math.min(length, start + 32);
      for (let i = start; i < end; i++) {
        probe[i] = bits & 1 ? 1 : -1;
        bits >>>= 1;
      }
    }
    return probe;
  }

  /** A vector of independent standard normals, of `length`. */
  gaussianVector(length: number): Float32Array {
    const vector = new Float32Array(length);
    for (let i = 0; i < length; i++) vector[i] = this.gaussian();
    return vector;
  }

  /** A uniform permutation of 0 … length − 1 (Fisher–Yates). */
  permutation(length: number): Uint32Array {
    const order = new Uint32Array(length);
    for (let i = 0; i < length; i++) order[i] = i;
    for (let i = length - 1; i > 0; i--) {
      const j = this.below(i + 1);
      const kept = order[i]!;
      order[i] = order[j]!;
      order[j] = kept;
    }
    return order;
  }
}

function rotateLeft(word: number, by: number): number {
  return (word << by) | (word >>> (32 - by));
}

/** A counter passed through a 32-bit finaliser (Steele, Lea & Flood 2014; constants of Wellons' hash prospector). */
function splitmix32(seed: number): () => number {
  let counter = seed | 0;
  return () => {
    counter = (counter + 0x9e3779b9) | 0;
    let z = counter;
    z = Math.imul(z ^ (z >>> 16), 0x21f0aaad);
    z = Math.imul(z ^ (z >>> 15), 0x735a2d97);
    return (z ^ (z >>> 15)) >>> 0;
  };
}

/** FNV-1a over UTF-16 code units, 32 bits. */
function fnv1a(text: string): number {
  let hash = 0x811c9dc5;
  for (let i = 0; i < text.length; i++) {
    hash = Math.imul(hash ^ text.charCodeAt(i), 0x01000193);
  }
  return hash >>> 0;
}
