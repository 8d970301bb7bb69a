/** What an API server complains of, as kinds that can be compared between two runs. Pure. */

/** A line of klog at level error or fatal: `E1123 03:56:38.123456   17 file.go:123] message`. */
const ERROR_LINE = /^[EF]\d{4} [\d:.]+ +\d+ ([\w.-]+:\d+)\] (.*)$/

/**
 * A member that is killed is noticed by whatever call is under way, in many words: which of them is a matter of timing, so
 * all of it is one kind.
 */
const UNAVAILABLE_KIND = 'a member of the store was not available'
const UNAVAILABLE = [
  /etcdserver: (leader changed|no leader|request timed out|server stopped)/,
  /error reading from server: /,
  /dial tcp /,
  /desc = \\?"transport: /,
  /context (deadline exceeded|canceled)/,
  /transport is closing|the client connection is closing|connection reset by peer/,
  // Its own lease, which nobody else writes: the answer to its write was lost with the member, and the write was made.
  /^"Failed to update lease" .*leases\.coordination\.k8s\.io .*apiserver-\w+.*the object has been modified/,
]

/** Where it was said, and what, without what differs from run to run; each with the first line of its kind. */
export function errorKinds(log: string): ReadonlyMap<string, string> {
  const kinds = new Map<string, string>()
  for (const line of log.split('\n')) {
    const [, place, message] = ERROR_LINE.exec(line) ?? []
    if (place === undefined || message === undefined) continue
    const isUnavailable = UNAVAILABLE.some((pattern) => pattern.test(message))
    const kind = isUnavailable ? UNAVAILABLE_KIND : `${place} ${normalise(message)}`
    if (!kinds.has(kind)) kinds.set(kind, line)
  }
  return kinds
}

/** The lines of kinds that the other run does not know. */
export function unknownErrors(log: string, known: ReadonlySet<string>): readonly string[] {
  return [...errorKinds(log)].filter(([kind]) => !known.has(kind)).map(([, line]) => line)
}

function normalise(message: string): string {
  return message
    .replaceAll(/[0-9a-f]{8}-[0-9a-f-]{27}/g, '(uid)')
    .replaceAll(/0x[0-9a-f]+/g, '(hex)')
    .replaceAll(/\d+(\.\d+)?/g, '0')
    .slice(0, 300)
}
