/** Durations as Go writes them (time.ParseDuration): `1m30s`, `500ms`, `1.5h`, `-2s`, and `0` alone without a unit. Pure. */

const NS_PER_UNIT: Readonly<Record<string, number>> = {
  ns: 1,
  us: 1e3,
  µs: 1e3, // U+00B5
  μs: 1e3, // U+03BC
  ms: 1e6,
  s: 1e9,
  m: 60e9,
  h: 3600e9,
}
const FORM = /^([+-]?)((?:(?:\d+\.?\d*|\.\d+)(?:ns|us|µs|μs|ms|s|m|h))+)$/
const PART = /(\d+\.?\d*|\.\d+)(ns|us|µs|μs|ms|s|m|h)/g
/** Go counts in int64 nanoseconds: about 292 years. */
const MAX_NS = 2 ** 63

/** Milliseconds, not necessarily whole; undefined when it is none. */
export function parseDurationMs(text: string): number | undefined {
  if (/^[+-]?0$/.test(text)) return 0
  const [, sign, parts] = FORM.exec(text) ?? []
  if (parts === undefined) return undefined
  let ns = 0
  for (const [, count = '', unit = ''] of parts.matchAll(PART)) ns += Number(count) * (NS_PER_UNIT[unit] ?? Number.NaN)
  if (!(ns < MAX_NS)) return undefined
  return (sign === '-' ? -ns : ns) / 1e6
}
