import { SeededRandom, type Survivors } from '@robustmq/core/testing';

export interface Cut {
  /** What a power cut leaves, for people. */
  readonly name: string;
  readonly survives: Survivors;
}

/** What a killed process leaves: the kernel writes the rest later. */
export const everything: Cut = {
  name: 'everything that was written',
  survives: { names: (count) => count, sector: () => true, resized: () => true },
};

export const nothing: Cut = {
  name: 'only what was synced',
  survives: { names: () => 0, sector: () => false, resized: () => false },
};

/** A file renamed before it was synced. */
export const namesOnly: Cut = {
  name: 'all names, and of the data what was synced',
  survives: { names: (count) => count, sector: () => false, resized: () => true },
};

/** A file synced, its directory not. */
export const dataOnly: Cut = {
  name: 'all data, and of the names what was synced',
  survives: { names: () => 0, sector: () => true, resized: () => true },
};

/** The disk had its own order. */
export function newestOnly(write: number): Cut {
  return {
    name: 'the newest write, without those before it that were not synced',
    survives: { names: (count) => count, sector: (op) => op === write, resized: () => false },
  };
}

export function everyOtherSector(odd: 0 | 1): Cut {
  return {
    name: `every other sector of what was not synced, the ${odd === 1 ? 'odd' : 'even'} ones`,
    survives: { names: (count) => count, sector: (_, sector) => sector % 2 === odd, resized: () => true },
  };
}

/** Each write whole, not at all, or some of its sectors; some of the names. */
export function seeded(seed: number): Cut {
  const draw = (a: number, b: number): number => {
    const random = new SeededRandom(
      Math.imul(seed, 0x9e3779b1) ^ Math.imul(a + 1, 0x85ebca6b) ^ Math.imul(b + 1, 0xc2b2ae35),
    );
    random.next();
    return random.next();
  };
  return {
    name: `what seed ${seed} picks`,
    survives: {
      names: (count, directory) => Math.floor(draw(directory, count) * (count + 1)),
      sector: (op, sector) => {
        const share = draw(op, -1);
        return share < 0.25 || (share < 0.75 && draw(op, sector) < 0.5);
      },
      resized: (op) => draw(op, -2) < 0.5,
    },
  };
}
