/** Zeros in a row that are longer than this are padding, or room that was never used. */
const ROOM_BYTES = 64;

/** The places of all bytes that say anything: of a long row of zeros only the first. */
export function meaningful(bytes: Uint8Array): number[] {
  const places: number[] = [];
  for (let at = 0; at < bytes.length; ) {
    if (bytes[at] !== 0) {
      places.push(at++);
      continue;
    }
    let end = at;
    while (end < bytes.length && bytes[end] === 0) end++;
    if (end - at > ROOM_BYTES) places.push(at);
    else for (let zero = at; zero < end; zero++) places.push(zero);
    at = end;
  }
  return places;
}
