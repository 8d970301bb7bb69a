/** How long a client waits: `grpc-timeout`, at most eight digits and a unit (gRPC over HTTP/2). Pure. */
const UNIT_MS: Readonly<Record<string, number>> = { H: 3_600_000, M: 60_000, S: 1000, m: 1, u: 0.001, n: 0.000_001 }

/** Undefined: not of this form. */
export function parseTimeoutMs(text: string): number | undefined {
  const unitMs = UNIT_MS[text.slice(-1)]
  const digits = text.slice(0, -1)
  return unitMs === undefined || !/^\d{1,8}$/.test(digits) ? undefined : Number(digits) * unitMs
}
