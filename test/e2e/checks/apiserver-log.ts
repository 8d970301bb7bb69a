/** What an API server complains of, as kinds that can be compared between two runs. Pure. */

/** A line of klog at level error or fatal: `E1123 03:56:38.123456   17 file.go:123] message`. */
const ERROR_LINE = /^[EF]\d{4} [\d:.]+ +\d+ ([\w.-]+:\d+)\] (.*)$/

/** A member that is killed is noticed in many words, which word is a matter of timing. */
const UNAVAILABLE = [
  /etcdserver: (leader changed|no leader|request timed out[^"\\]*|server stopped)/g,
  /error reading from server: [^"\\]*/g,
  /dial tcp [^"\\]*/g,
  /(connection error: )?desc = \\?"transport: [^"\\]*/g,
  /context (deadline exceeded|canceled)/g,
  /transport is closing|the client connection is closing|connection reset by peer/g,
]

/** Where it was said, and what, without what differs from run to run; each with the first line of its kind. */
export function errorKinds(log: string): ReadonlyMap<string, string> {
  const kinds = new Map<string, string>()
  for (const line of log.split('\n')) {
    const [, place, message] = ERROR_LINE.exec(line) ?? []
    if (place === undefined || message === undefined) continue
    const kind = `${place} ${normalise(message)}`
    if (!kinds.has(kind)) kinds.set(kind, line)
  }
  return kinds
}

/** The lines of kinds that the other run does not know. */
export function unknownErrors(log: string, known: ReadonlySet<string>): readonly string[] {
  return [...errorKinds(log)].filter(([kind]) => !known.has(kind)).map(([, line]) => line)
}

function normalise(message: string): string {
  let text = message
  for (const pattern of UNAVAILABLE) text = text.replaceAll(pattern, '(unavailable)')
  return text
    .replaceAll(/code = (Unavailable|Canceled|DeadlineExceeded|Unknown) desc = \(unavailable\)/g, '(unavailable)')
    .replaceAll(/[0-9a-f]{8}-[0-9a-f-]{27}/g, '(uid)')
    .replaceAll(/0x[0-9a-f]+/g, '(hex)')
    .replaceAll(/\d+(\.\d+)?/g, '0')
    .slice(0, 300)
}
