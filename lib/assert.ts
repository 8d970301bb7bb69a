/**
 * Checks of what must be true whatever the input: a failure is a bug in this program, never a user's mistake.
 * They are never switched off; the process exits after one, because its state can no longer be trusted.
 */
export class AssertionFailed extends Error {
  override readonly name = 'AssertionFailed'
}

/** A message that has to be put together is given as a function: most checks are made thousands of times a second, and hold. */
export function assert(condition: boolean, message: string | (() => string)): asserts condition {
  if (!condition) throw new AssertionFailed(typeof message === 'string' ? message : message())
}

/** Ends a `switch` over a union: a new variant without its case is then a compile error. */
export function unreachable(value: never): never {
  throw new AssertionFailed(`unreachable: ${JSON.stringify(value)}`)
}
