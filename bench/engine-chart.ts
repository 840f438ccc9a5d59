/** One kind of work: what the disk alone did, and each engine, `undefined` where it does not do such work. */
export interface Row {
  readonly name: string;
  readonly unit: string;
  readonly raw: number;
  readonly engines: readonly (number | undefined)[];
}

const TITLE = 'Storage engines beside the disk alone, in one run; longer is better';
const LEFT = 330;
const WIDTH = 560;
const RIGHT = 180;
const BAR = 14;
const GAP = 14;
const TOP = 64;
const COLORS = ['#2f6db3', '#d1782b', '#3c9a5f', '#a4478f', '#8a7a1e', '#c0392b'];
/** Of the ratio to the disk, by powers of ten: further down where an engine is slower than that. */
const LEAST_FROM = -6;
const MOST_FROM = -2;
const UNTIL = 3;

/** Bars of how many times better than the disk alone each engine is, on a logarithmic scale: 1 is the line in the middle. */
export function chartOf(names: readonly string[], rows: readonly Row[], facts: string): string {
  const from = lowestPower(rows);
  const xOf = (ratio: number): number => {
    const power = Math.min(UNTIL, Math.max(from, Math.log10(ratio)));
    return Math.round(LEFT + ((power - from) / (UNTIL - from)) * WIDTH);
  };
  const step = names.length * BAR + GAP;
  const bottom = TOP + rows.length * step;
  const factLines = facts.split('\n');
  const height = bottom + 40 + factLines.length * 14;
  const parts: string[] = [];
  for (let power = from; power <= UNTIL; power++) {
    const x = xOf(10 ** power);
    parts.push(
      `<line x1="${x}" y1="${TOP - 8}" x2="${x}" y2="${bottom}" stroke="${power === 0 ? '#333' : '#ddd'}"/>`,
      `<text x="${x}" y="${bottom + 16}" text-anchor="middle">${power === 0 ? 'the disk alone' : `${power < 0 ? (10 ** power).toFixed(-power) : 10 ** power}x`}</text>`,
    );
  }
  for (const [i, row] of rows.entries()) {
    const y = TOP + i * step;
    parts.push(
      `<text x="${LEFT - 10}" y="${y + (names.length * BAR) / 2 + 4}" text-anchor="end">${escaped(row.name)}</text>`,
    );
    for (const [j, value] of row.engines.entries()) {
      const barY = y + j * BAR;
      const ratio = value === undefined ? undefined : ratioOf(row, value);
      const label =
        value === undefined || ratio === undefined ? 'n/a' : `${shown(value)} ${row.unit} (${shownRatio(ratio)}x)`;
      const end = xOf(ratio ?? 10 ** from);
      if (ratio !== undefined)
        parts.push(
          `<rect x="${LEFT}" y="${barY}" width="${end - LEFT}" height="${BAR - 2}" fill="${COLORS[j % COLORS.length]}"/>`,
        );
      parts.push(`<text x="${end + 5}" y="${barY + BAR - 4}">${escaped(label)}</text>`);
    }
  }
  const legend = names.map(
    (name, j) =>
      `<rect x="${LEFT + j * 150}" y="34" width="12" height="12" fill="${COLORS[j % COLORS.length]}"/><text x="${LEFT + j * 150 + 17}" y="44">${escaped(name)}</text>`,
  );
  const foot = factLines.map(
    (line, i) => `<text x="10" y="${bottom + 36 + i * 14}" fill="#777">${escaped(line)}</text>`,
  );
  return [
    `<svg xmlns="http://www.w3.org/2000/svg" width="${LEFT + WIDTH + RIGHT}" height="${height}" font-family="sans-serif" font-size="11">`,
    `<title>${TITLE}</title>`,
    `<rect width="100%" height="100%" fill="#fff"/>`,
    `<text x="10" y="20" font-size="15">${TITLE}</text>`,
    ...legend,
    ...parts,
    ...foot,
    '</svg>\n',
  ].join('\n');
}

/** How many times better than the disk alone: of times the other way round. */
export function ratioOf({ unit, raw }: Pick<Row, 'unit' | 'raw'>, value: number): number {
  return unit === 'ms' ? raw / value : value / raw;
}

export function shown(value: number): string {
  return value >= 100 ? Math.round(value).toLocaleString('en-US') : value.toPrecision(3);
}

/** Two digits that say something. */
export function shownRatio(ratio: number): string {
  return ratio >= 0.1 ? ratio.toFixed(2) : ratio.toPrecision(2);
}

function lowestPower(rows: readonly Row[]): number {
  const ratios = rows.flatMap((row) =>
    row.engines.flatMap((value) => (value === undefined ? [] : ratioOf(row, value))),
  );
  return Math.max(LEAST_FROM, Math.floor(Math.log10(Math.min(10 ** MOST_FROM, ...ratios))));
}

function escaped(text: string): string {
  return text.replaceAll('&', '&amp;').replaceAll('<', '&lt;').replaceAll('>', '&gt;');
}
