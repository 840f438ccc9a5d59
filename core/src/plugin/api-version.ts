/** In 0.x each minor version is a contract of its own; from 1.0 on, the same major and no newer minor. docs/versioning.md */
export function isServed(asked: number, served: number): boolean {
  if (served < 1) return asked === served;
  return Math.floor(asked) === Math.floor(served) && asked <= served;
}
