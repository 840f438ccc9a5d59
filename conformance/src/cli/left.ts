/** Names what keeps this process alive though it has nothing more to do: an engine has left it behind. */
export function tellWhatIsLeft(): void {
  const left = process.getActiveResourcesInfo().filter((kind) => !/^(TTYWrap|PipeWrap|Timeout)$/.test(kind));
  process.stderr.write(`something still keeps the process alive after everything was closed: ${left.join(', ')}\n`);
}
