/** Where two values differ, field by field. */
export interface Difference {
  /** As in `2.body.metadata.labels`. */
  readonly path: string
  readonly real: unknown
  readonly sandbox: unknown
}

export function differences(real: unknown, sandbox: unknown, path = ''): readonly Difference[] {
  if (Object.is(real, sandbox)) return []
  if (isObject(real) && isObject(sandbox) && Array.isArray(real) === Array.isArray(sandbox)) {
    const names = [...new Set([...Object.keys(real), ...Object.keys(sandbox)])]
    return names.flatMap((name) => differences(real[name], sandbox[name], path === '' ? name : `${path}.${name}`))
  }
  return [{ path, real, sandbox }]
}

function isObject(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === 'object' && value !== null
}

export interface Verdict {
  readonly unexpected: readonly Difference[]
  /** Expected, and not there any more. */
  readonly stale: readonly string[]
}

export function judge(real: unknown, sandbox: unknown, expected: Readonly<Record<string, string>> = {}): Verdict {
  const found = differences(real, sandbox)
  const covers = (prefix: string, path: string): boolean => path === prefix || path.startsWith(`${prefix}.`)
  const prefixes = Object.keys(expected)
  return {
    unexpected: found.filter(({ path }) => !prefixes.some((prefix) => covers(prefix, path))),
    stale: prefixes.filter((prefix) => !found.some(({ path }) => covers(prefix, path))),
  }
}

export function describe({ unexpected, stale }: Verdict): readonly string[] {
  const show = (value: unknown): string => (value === undefined ? 'nothing' : JSON.stringify(value)).slice(0, 300)
  return [
    ...unexpected.map(
      ({ path, real, sandbox }) => `${path}\n    real:    ${show(real)}\n    sandbox: ${show(sandbox)}`,
    ),
    ...stale.map((path) => `${path} is said to differ, and does not`),
  ]
}
