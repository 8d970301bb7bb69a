/** What is in Secrets, looked for in what programs have said. Pure. */
export interface SecretSeen {
  /** For the report. */
  readonly name: string
  /** As the API server has it: in base64. */
  readonly data: Readonly<Record<string, string>>
}

/** A shorter text stands in others by chance. */
const SHORTEST = 12
/** From here on a PEM of a key on P-256 has the point, which is public. */
const PRIVATE_LINES = 2
const PRIVATE_KEY = /-----BEGIN [A-Z ]*PRIVATE KEY-----\n([^-]+)/g

/** Texts, by each of which a value is known to whoever reads it, and whose value that is. */
export function tracesOf(secrets: readonly SecretSeen[]): ReadonlyMap<string, string> {
  const traces = new Map<string, string>()
  for (const { name, data } of secrets)
    for (const [key, encoded] of Object.entries(data))
      for (const trace of tracesOfValue(encoded)) if (trace.length >= SHORTEST) traces.set(trace, `${key} of ${name}`)
  return traces
}

/** None of certificates: they are shown to whoever connects. */
function tracesOfValue(encoded: string): readonly string[] {
  const value = Buffer.from(encoded, 'base64').toString()
  if (!value.startsWith('-----BEGIN ')) return [value.trim(), encoded]
  // Loggers write the ends of lines in ways of their own.
  const lines = [...value.matchAll(PRIVATE_KEY)].flatMap(([, body = '']) => body.split('\n').slice(0, PRIVATE_LINES))
  return lines.length === 0 ? [] : [...lines, encoded]
}

/** Of whose values there is a trace in the text. */
export function disclosedIn(text: string, traces: ReadonlyMap<string, string>): readonly string[] {
  const found = [...traces].filter(([trace]) => text.includes(trace)).map(([, owner]) => owner)
  return [...new Set(found)]
}
