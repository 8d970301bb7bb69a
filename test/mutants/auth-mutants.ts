/** In who may do what. Found by the model of users beside the store (node-server/mvcc/testing/users-property.ts). */
import type { Mutant } from './plant.ts'

const AUTH = 'node-server/mvcc/auth'

export const AUTH_MUTANTS: readonly Mutant[] = [
  {
    name: 'who was identified before users changed may go on',
    file: `${AUTH}/permissions.ts`,
    find: "info.revision < auth.revision ? 'auth-old-revision' : undefined",
    replace: 'undefined',
  },
  {
    name: 'what a change of roles leaves to a user is looked up once forever',
    file: `${AUTH}/state.ts`,
    find: '    this.#granted.clear()\n',
    replace: '',
  },
  {
    name: 'a member that starts again knows no users',
    file: `${AUTH}/state.ts`,
    find: "    for (const row of buffer.scan('auth', Buffer.of(0), undefined)) this.#take(decodeAuthRow(row))\n",
    replace: '',
  },
  {
    name: 'the branch of a txn that does not run is not asked for',
    file: `${AUTH}/requests.ts`,
    find: '[...request.success, ...request.failure]',
    replace: 'request.success',
  },
  {
    name: 'a txn inside of a txn is not asked for',
    file: `${AUTH}/requests.ts`,
    find: '      return refuseTxn(store, info, request.value)\n',
    replace: '      return undefined\n',
  },
  {
    name: 'who may write a key sees what was there',
    file: `${AUTH}/requests.ts`,
    find: "(prevKv ? refuseAccess(store.auth, info, 'read', key, NO_END) : undefined)",
    replace: 'undefined',
  },
  {
    name: 'a key is attached to a lease by who may not revoke it',
    file: `${AUTH}/requests.ts`,
    find: "    refuseLeaseKeys(store, info, 'write', lease) ??\n",
    replace: '',
  },
  {
    name: 'a lease is revoked by anybody',
    file: 'node-server/mvcc/apply.ts',
    find: "      const denied = refuseLeaseKeys(store, authInfo, 'write', request.ID)\n      return denied",
    replace: '      const denied = undefined\n      return denied',
  },
  {
    name: 'of the keys of a lease only those in the first range are looked at',
    file: `${AUTH}/permissions.ts`,
    find: '    next = leaseKey(lease, granted.end)',
    replace: '    return undefined\n    next = leaseKey(lease, granted.end)',
  },
  {
    name: 'a range is allowed by its first key',
    file: `${AUTH}/ranges.ts`,
    find: 'return covering !== undefined && !isEndBelow(covering.end, end)',
    replace: 'return covering !== undefined',
  },
  {
    name: 'ranges that touch are not one',
    file: `${AUTH}/ranges.ts`,
    find: 'compareBytes(range.start, last.end) <= 0)',
    replace: 'compareBytes(range.start, last.end) < 0)',
  },
  {
    name: 'to read is to write',
    file: `${AUTH}/state.ts`,
    find: 'permType === wanted ||',
    replace: '',
  },
]

/** In when that is decided, and by which member. Found by clusters whose users change (test/simulation/users.ts). */
export const APPLIED_AUTH_MUTANTS: readonly Mutant[] = [
  {
    name: 'in a cluster: who was identified before users changed may go on',
    file: `${AUTH}/permissions.ts`,
    find: "info.revision < auth.revision ? 'auth-old-revision' : undefined",
    replace: 'undefined',
  },
  {
    name: 'in a cluster: a write is allowed by the member that is asked, not when it is applied',
    file: 'node-server/api/etcd/kv.ts',
    find: '  return node.propose(kind, bytes, context, authInfo).then(',
    replace: `  const key = Buffer.from(\`\${authInfo?.username}/\`)
  const isAllowed = refuseRange(node.store, authInfo, { key, rangeEnd: Buffer.alloc(0) }) === undefined
  const info = isAllowed && authInfo ? { username: 'root', revision: Number.MAX_SAFE_INTEGER } : authInfo
  return node.propose(kind, bytes, context, info).then(`,
  },
  {
    name: 'in a cluster: a put inside of a txn is asked for on no member',
    file: `${AUTH}/requests.ts`,
    find: "    case 'requestPut':\n      return refusePut(store, info, request.value)",
    replace: "    case 'requestPut':\n      return undefined",
  },
  {
    name: 'in a cluster: who asks for a range is found out before its member knows of the latest changes',
    file: 'node-server/api/etcd/kv.ts',
    find: `  const barrier = await kv.node.linearizableBarrier()
  return barrier.ok ? readRange(kv, request, call) : err(statusOf(barrier.error))`,
    replace: `  const read = readRange(kv, request, call)
  const barrier = await kv.node.linearizableBarrier()
  return barrier.ok ? read : err(statusOf(barrier.error))`,
  },
  {
    name: 'in a cluster: a member that starts again knows no users',
    file: `${AUTH}/state.ts`,
    find: "    for (const row of buffer.scan('auth', Buffer.of(0), undefined)) this.#take(decodeAuthRow(row))\n",
    replace: '',
  },
  {
    name: 'in a cluster: what roles give to a user is looked up once forever',
    file: `${AUTH}/state.ts`,
    find: '    this.#granted.clear()\n',
    replace: '',
  },
]
