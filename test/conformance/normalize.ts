/** What differs from run to run: put to one form, so that what is left can be compared. */
const TIMES: ReadonlySet<string> = new Set(['creationTimestamp', 'deletionTimestamp', 'lastTransitionTime'])
const ADDRESSES: ReadonlySet<string> = new Set(['clusterIP', 'clusterIPs'])
const UID = /[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}/g
/** Names that the server made from `generateName: made-`. */
const MADE_NAME = /\bmade-[a-z0-9]{5}\b/g
const AGE = /^(\d+s|\d+y|(\d+y)?\d+d|<unknown>)$/

/** In managedFields a dot stands for the object itself, and only one of the two writes it for objects of fixed fields. */
const OWNERSHIP = 'fieldsV1'
const ownership = (name: string, key: string): string => (key === OWNERSHIP ? OWNERSHIP : name)
/** Also, whether an entry has a time depends on the second in which it was written. */
const isNoise = (name: string, key: string): boolean =>
  (key === OWNERSHIP && name === '.') || (key === 'managedFields' && name === 'time')

/** The real one goes through its maps in whatever order they have today. */
const UNORDERED: ReadonlySet<string> = new Set(['causes', 'managedFields'])
/** Lists whose items are known by the list's name. */
const NAMED = new Set([...ADDRESSES, 'managedFields'])

export function normalized(value: unknown, key = ''): unknown {
  if (Array.isArray(value)) {
    const items = value.map((item) => normalized(item, NAMED.has(key) ? key : ''))
    return UNORDERED.has(key) ? sorted(items) : items
  }
  if (typeof value === 'object' && value !== null) {
    const entries = Object.entries(value).filter(([name]) => !isNoise(name, key))
    return Object.fromEntries(
      entries.map(([name, inner]) => [name.replaceAll(UID, '<uid>'), normalized(inner, ownership(name, key))]),
    )
  }
  return typeof value === 'string' ? text(value, key) : value
}

function sorted(list: readonly unknown[]): readonly unknown[] {
  return list.toSorted((a, b) => (canonical(a) < canonical(b) ? -1 : 1))
}

/** With its fields in the order of their names. */
function canonical(value: unknown): string {
  return JSON.stringify(value, (_, inner: unknown) =>
    typeof inner === 'object' && inner !== null && !Array.isArray(inner)
      ? Object.fromEntries(Object.entries(inner).toSorted(([a], [b]) => (a < b ? -1 : 1)))
      : inner,
  )
}

function text(value: string, key: string): string {
  if (value === '') return value
  if (TIMES.has(key)) return '<time>'
  if (key === 'uid') return '<uid>'
  if (key === 'resourceVersion') return '<version>'
  if (key === 'continue') return '<token>'
  if (ADDRESSES.has(key) && value !== 'None') return '<address>'
  if (AGE.test(value)) return '<age>'
  return withSortedReasons(value)
    .replaceAll(UID, '<uid>')
    .replaceAll(MADE_NAME, 'made-<name>')
    .replaceAll(/in record \(\d+\)/g, 'in record (<version>)')
    .replaceAll(/resource version: 1 \(\d+\)/g, 'resource version: 1 (<version>)')
    .replaceAll(/ at \d{4}-\d\d-\d\dT[\d:]+Z/g, '')
    .replaceAll(/"\d+\.\d+\.\d+\.\d+"/g, '"<address>"')
}

/** `… is invalid: [a, b]` */
function withSortedReasons(value: string): string {
  const [, before, reasons] = /^(.* is invalid: \[)(.*)\]$/s.exec(value) ?? []
  if (before === undefined || reasons === undefined) return value
  return `${before}${reasons.split(', ').toSorted().join(', ')}]`
}
