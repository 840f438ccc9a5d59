let due: { endOfTurn(): void }[] = [];

/**
 * Calls `endOfTurn` when everything has run that what runs now has led to (continuations of promises), and before the next event: what a
 * thousand shards have to do then costs the event loop one entry.
 */
export function atEndOfTurn(one: { endOfTurn(): void }): void {
  due.push(one);
  if (due.length === 1) process.nextTick(runAll);
}

function runAll(): void {
  const now = due;
  due = [];
  for (const one of now) one.endOfTurn();
}
