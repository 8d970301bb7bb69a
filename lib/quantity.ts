/** Kubernetes quantities ("10Gi", "500m", "1e3"), as far as comparing sizes needs, and adding them. */
const SUFFIXES: Readonly<Record<string, number>> = {
  '': 1,
  n: 1e-9,
  u: 1e-6,
  m: 1e-3,
  k: 1e3,
  M: 1e6,
  G: 1e9,
  T: 1e12,
  P: 1e15,
  E: 1e18,
  Ki: 2 ** 10,
  Mi: 2 ** 20,
  Gi: 2 ** 30,
  Ti: 2 ** 40,
  Pi: 2 ** 50,
  Ei: 2 ** 60,
}

/** Undefined when the text is no quantity. Exact enough to compare sizes, not to add money. */
export function parseQuantity(text: string): number | undefined {
  const match = /^([+-]?(?:\d+\.?\d*|\.\d+))(?:([eE][+-]?\d+)|([numkMGTPE]|[KMGTPE]i))?$/.exec(text)
  if (match === null) return undefined
  const factor = SUFFIXES[match[3] ?? '']
  return factor === undefined ? undefined : Number(`${match[1]}${match[2] ?? ''}`) * factor
}

/** With the largest binary suffix that leaves a whole number. */
export function quantityOf(bytes: number): string {
  const whole = Math.round(bytes)
  const suffix = ['Ti', 'Gi', 'Mi', 'Ki'].find((name) => whole % (SUFFIXES[name] ?? Infinity) === 0) ?? ''
  return `${whole / (SUFFIXES[suffix] ?? 1)}${suffix}`
}

export function isSameQuantity(a: string, b: string): boolean {
  if (a === b) return true
  const left = parseQuantity(a)
  return left !== undefined && left === parseQuantity(b)
}
