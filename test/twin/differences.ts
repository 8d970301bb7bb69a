/**
 * Where ours differs from etcd on purpose. docs/differences-from-etcd.md has the same list as a table; differences.test.ts
 * keeps the two in step. A run reports each that did not occur: it may be gone, and then it goes from here as well.
 */
import type { Mismatch, Tree } from './tree.ts'

/** A mismatch and where it stood. */
export interface Occurrence {
  readonly path: string
  readonly request: Tree
  readonly etcd: Tree
  readonly ours: Tree
  readonly mismatch: Mismatch
}

export interface AllowedDifference {
  readonly id: string
  readonly what: string
  readonly etcd: string
  readonly ours: string
  readonly why: string
  readonly matches: (occurrence: Occurrence) => boolean
}

export const DIFFERENCES: readonly AllowedDifference[] = [
  {
    id: 'sort-ties',
    what: 'A Range of more than 12 keys sorted by something that several of them share',
    etcd: 'orders those by no rule (the sort of Go is not stable)',
    ours: 'orders those by key',
    why: 'An order by a rule is one of those that etcd may give',
    matches: ({ path, request, etcd, ours }) =>
      path === '/etcdserverpb.KV/Range' && isSortedByTarget(request) && haveSameTies(request, etcd, ours),
  },
  {
    id: 'stream-sort-target',
    what: 'A RangeStream with a sort target but without an order',
    etcd: 'sorts each chunk by itself, and begins the next chunk after the last key of the sorted one',
    ours: 'sends all keys in key order',
    why: 'Sorting chunks loses and repeats keys; a stream with an order is refused by both',
    matches: ({ path, request }) =>
      path === '/etcdserverpb.KV/RangeStream' &&
      fieldOf(request, 'sortTarget') !== 0 &&
      fieldOf(request, 'sortOrder') === 0,
  },
  {
    id: 'version',
    what: 'The version that Status and Downgrade name',
    etcd: 'its own, such as `3.7.3`',
    ours: 'the etcd API level that this program has, see `node-server/version.ts`',
    why: 'Clients switch features by it; our own version stands in /version and in the admin status',
    matches: ({ path, mismatch }) =>
      /^\/etcdserverpb\.Maintenance\/(Status|Downgrade)$/.test(path) &&
      /^(version|storageVersion)$/.test(mismatch.field) &&
      /^3\.\d+(\.\d+)?$/.test(textOf(mismatch.ours)),
  },
  {
    id: 'gateway-common-name',
    what: 'A request to the gateway, with authentication on, over a connection whose client certificate has a common name',
    etcd: 'refuses it: `CommonName of client sending a request against gateway will be ignored and not used as expected`',
    ours: 'ignores the common name, and asks for a token',
    why: 'Otherwise nobody could use the gateway who has such a certificate, as the operator issues',
    matches: ({ path, etcd }) =>
      path.startsWith('/v3/') && typeof etcd === 'string' && etcd.startsWith('400 CommonName of client'),
  },
]

export function allowedDifference(occurrence: Occurrence): AllowedDifference | undefined {
  return DIFFERENCES.find(({ matches }) => matches(occurrence))
}

const TARGET_FIELDS = ['key', 'version', 'createRevision', 'modRevision', 'value'] as const
/** Up to this many keys the sort of Go keeps those that are equal in their order. */
const MOST_KEYS_KEPT_IN_ORDER = 12

function isSortedByTarget(request: Tree): boolean {
  return fieldOf(request, 'sortTarget') !== 0
}

/** The same key-values, which by the target are in the same order on both sides. */
function haveSameTies(request: Tree, etcd: Tree, ours: Tree): boolean {
  const target = TARGET_FIELDS[Number(fieldOf(request, 'sortTarget'))]
  const [theirs, own] = [fieldOf(etcd, 'kvs'), fieldOf(ours, 'kvs')]
  if (target === undefined || !Array.isArray(theirs) || !Array.isArray(own)) return false
  const order = (kvs: readonly Tree[]): string => JSON.stringify(kvs.map((kv) => fieldOf(kv, target)))
  const content = (kvs: readonly Tree[]): string => JSON.stringify(kvs.map((kv) => JSON.stringify(kv)).toSorted())
  return theirs.length > MOST_KEYS_KEPT_IN_ORDER && order(theirs) === order(own) && content(theirs) === content(own)
}

function fieldOf(tree: Tree, field: string): Tree {
  return typeof tree === 'object' && !Array.isArray(tree)
    ? Object.entries(tree).find(([name]) => name === field)?.[1]
    : undefined
}

function textOf(tree: unknown): string {
  return typeof tree === 'string' ? tree : JSON.stringify(tree)
}
