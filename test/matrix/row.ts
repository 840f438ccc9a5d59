/** A row of the matrix: what happened to one pair. */
export interface Row {
  readonly from: string;
  readonly to: string;
  /** What was moved. */
  readonly segments: number;
  readonly bytes: number;
  readonly acknowledged: number;
  /** From the word of the operator until all lay where it belongs, crash and restart included. */
  readonly seconds: number;
  /** While something was moved. */
  readonly kills: number;
  readonly wasInTheMiddle: boolean;
  readonly lost: number;
  readonly repeated: number;
  readonly renumbered: number;
  /** Changed, made up, out of order, or not as a subscriber must get it. */
  readonly other: number;
  /** Acknowledged in memory, and gone with its process: what that engine says of itself. */
  readonly lostWithProcess: number;
  readonly details: readonly string[];
}

/** Nothing is wrong, and the pair was put to the test: something was moved, and the crash came in the middle of that. */
export function isClean({ lost, repeated, renumbered, other, segments, wasInTheMiddle }: Row): boolean {
  return lost + repeated + renumbered + other === 0 && segments > 0 && wasInTheMiddle;
}

const WIDTHS = [24, 8, 9, 6, 6, 10, 6, 8, 10, 6, 17, 10];

export const HEAD: string = cells([
  'from -> to',
  'segments',
  'bytes',
  's',
  'kills',
  'in middle',
  'lost',
  'repeated',
  'renumbered',
  'other',
  'lost with process',
  'seed',
]);

export function line(row: Row, seed: number): string {
  return cells([
    `${row.from} -> ${row.to}`,
    row.segments,
    row.bytes,
    row.seconds.toFixed(1),
    row.kills,
    row.wasInTheMiddle ? 'yes' : 'NO',
    row.lost,
    row.repeated,
    row.renumbered,
    row.other,
    row.lostWithProcess,
    seed,
  ]);
}

function cells(values: readonly (string | number)[]): string {
  const padded = values.map((value, i) => {
    const width = WIDTHS[i] ?? 0;
    return i === 0 ? String(value).padEnd(width) : String(value).padStart(width);
  });
  return padded.join('  ');
}
