/** The little XML that a store's answers are: elements without attributes, of known names. */

/** What stands in the first element of that name. */
export function textOf(xml: string, name: string): string | undefined {
  const from = xml.indexOf(`<${name}>`);
  if (from < 0) return undefined;
  const to = xml.indexOf(`</${name}>`, from);
  return to < 0 ? undefined : xml.slice(from + name.length + 2, to);
}

/** What stands in each element of that name. */
export function textsOf(xml: string, name: string): string[] {
  const found: string[] = [];
  for (let from = xml.indexOf(`<${name}>`); from >= 0; ) {
    const to = xml.indexOf(`</${name}>`, from);
    if (to < 0) break;
    found.push(xml.slice(from + name.length + 2, to));
    from = xml.indexOf(`<${name}>`, to);
  }
  return found;
}

const ENTITIES: Readonly<Record<string, string>> = { lt: '<', gt: '>', quot: '"', apos: "'", amp: '&' };

export function unescapeXml(text: string): string {
  return text.replace(
    /&(?:#(\d+)|#x([0-9a-f]+)|([a-z]+));/gi,
    (whole, decimal?: string, hex?: string, name?: string) => {
      if (decimal !== undefined) return String.fromCodePoint(Number(decimal));
      if (hex !== undefined) return String.fromCodePoint(Number.parseInt(hex, 16));
      return ENTITIES[name ?? ''] ?? whole;
    },
  );
}
