/**
 * Users and roles of the cluster as spec.auth declares them. Those that were never declared are left alone; those that are no
 * longer declared are removed. Pure.
 *
 * Nobody is locked out: authentication is turned on in a reconcile of its own, in which root was created by the operator with the Secret's
 * current password, and no user or role has changed since (by the auth revision). Turning it off
 * comes before everything else.
 */
import { type Auth, type DeclaredPermission, type DeclaredUser, ROOT } from '../../api/auth.ts'
import type { RaftCluster } from '../../api/raft-cluster.ts'
import type { AuthMemory } from '../../api/status.ts'
import type { Observed, ObservedUsers } from '../observed.ts'
import type { Permission, UserStep } from '../ports.ts'
import { hashOf } from '../resources/hash.ts'

export const NOTHING_DECLARED: Auth = { enabled: false, allowWithoutTLS: false, roles: [], users: [] }
const NOTHING_RECORDED: AuthMemory = { users: [], roles: [], revision: 0, hash: '' }

/** For a user whose creation was begun: whether it has its password is not known yet. */
const UNKNOWN = '?'

/** Undefined if nothing is declared, and nothing is left of earlier declarations. */
export function wantedAuth({ spec, recorded }: RaftCluster): Auth | undefined {
  return spec.auth ?? (recorded.auth === undefined ? undefined : NOTHING_DECLARED)
}

/** Hash of the declaration: when it differs, users and roles are read again. */
export function declarationHash(auth: Auth, secrets: ObservedUsers['secrets']): string {
  return hashOf({ auth, secrets: Object.fromEntries(secrets) })
}

/** Nothing has changed since everything was as declared, neither in the spec nor in the cluster. */
export function isAsDeclared(cluster: RaftCluster, seen: Omit<ObservedUsers, 'state'>): boolean {
  const { auth: memory } = cluster.recorded
  const auth = wantedAuth(cluster)
  return (
    cluster.spec.auth !== undefined &&
    auth?.enabled === seen.isEnabled &&
    memory?.revision === seen.revision &&
    memory.hash === declarationHash(auth, seen.secrets)
  )
}

/** Steps, in order. */
export function userSteps({ cluster, users }: Observed): readonly UserStep[] {
  const auth = wantedAuth(cluster)
  if (auth === undefined || users?.state === undefined) return []
  const memory = cluster.recorded.auth ?? NOTHING_RECORDED
  const seen = { ...users, state: users.state }
  if (users.isEnabled && !auth.enabled) return [{ kind: 'disable' }]
  const steps = [
    ...auth.roles.flatMap((role) => roleSteps(role, seen)),
    ...auth.users.flatMap((user) => declaredUserSteps(user, memory, seen)),
    ...undeclared(memory.users, auth.users, [...seen.state.users.keys()]).map(userDeletion),
    ...undeclared(
      memory.roles.map((name) => ({ name })),
      auth.roles,
      [...seen.state.roles.keys()],
    ).map((role): UserStep => ({ kind: 'role-delete', role })),
  ]
  if (users.isEnabled || !auth.enabled || (users.secrets.get(ROOT) ?? '') === '') return steps
  const isProven = memory.revision === users.revision && memory.hash === declarationHash(auth, users.secrets)
  if (steps.length === 0 && isProven && hasRoot(seen.state)) return [{ kind: 'enable' }]
  return [...steps, ...rootSteps(seen.state)]
}

type Seen = ObservedUsers & { readonly state: NonNullable<ObservedUsers['state']> }

function userDeletion(user: string): UserStep {
  return { kind: 'user-delete', user }
}

function roleSteps({ name, permissions }: Auth['roles'][number], { state }: Seen): readonly UserStep[] {
  const present = state.roles.get(name)
  const wanted = permissions.map(permissionOf)
  const granted = present ?? []
  return [
    ...(present === undefined ? [{ kind: 'role-add', role: name } as const] : []),
    ...granted
      .filter((one) => !wanted.some((other) => isSameRange(one, other)))
      .map((permission) => ({ kind: 'revoke-permission', role: name, permission }) as const),
    ...wanted
      .filter((one) => !granted.some((other) => isSameRange(one, other) && one.access === other.access))
      .map((permission) => ({ kind: 'grant-permission', role: name, permission }) as const),
  ]
}

function declaredUserSteps(user: DeclaredUser, memory: AuthMemory, { state, secrets }: Seen): readonly UserStep[] {
  const { name, certificateOnly } = user
  const secret = secrets.get(name) ?? ''
  // Its Secret does not exist: the user stays as it is, and the condition reports it.
  if (!certificateOnly && secret === '') return []
  const present = state.users.get(name)
  const known = memory.users.find((one) => one.name === name)?.secret ?? UNKNOWN
  // A change gives no password to a user without one, and etcd does not report which have one: users that the operator did not create are recreated.
  const isOther = present !== undefined && (certificateOnly ? known !== '' : known === '' || known === UNKNOWN)
  const roles = isOther ? [] : (present ?? [])
  return [
    ...(isOther ? [userDeletion(name)] : []),
    ...(present === undefined || isOther ? [{ kind: 'user-add', user: name, certificateOnly } as const] : []),
    ...(present !== undefined && !isOther && known !== secret
      ? [{ kind: 'change-password', user: name } as const]
      : []),
    ...roles
      .filter((role) => !user.roles.includes(role))
      .map((role) => ({ kind: 'revoke-role', user: name, role }) as const),
    ...user.roles
      .filter((role) => !roles.includes(role))
      .map((role) => ({ kind: 'grant-role', user: name, role }) as const),
  ]
}

/** Recreated, since a change would give no password to a user without one. Authentication is off, so nobody misses the user meanwhile. */
function rootSteps({ users, roles }: Seen['state']): readonly UserStep[] {
  return [
    ...(roles.has(ROOT) ? [] : [{ kind: 'role-add', role: ROOT } as const]),
    ...(users.has(ROOT) ? [userDeletion(ROOT)] : []),
    { kind: 'user-add', user: ROOT, certificateOnly: false },
    { kind: 'grant-role', user: ROOT, role: ROOT },
  ]
}

function hasRoot({ users }: Seen['state']): boolean {
  return users.get(ROOT)?.includes(ROOT) === true
}

/** Users that were declared at some time, and exist. */
function undeclared(
  memory: readonly { readonly name: string }[],
  declared: readonly { readonly name: string }[],
  present: readonly string[],
): readonly string[] {
  const names = declared.map(({ name }) => name)
  return memory.map(({ name }) => name).filter((name) => !names.includes(name) && present.includes(name))
}

function isSameRange(a: Permission, b: Permission): boolean {
  return a.key.equals(b.key) && a.rangeEnd.equals(b.rangeEnd)
}

const FROM_HERE_ON = Buffer.of(0)

/** As in etcd: a range excludes its end, an empty end means one key, a zero byte means no end. */
export function permissionOf({ key, prefix, range, access }: DeclaredPermission): Permission {
  if (key !== undefined) return { key: Buffer.from(key), rangeEnd: Buffer.alloc(0), access }
  if (range !== undefined)
    return {
      key: Buffer.from(range.from),
      rangeEnd: range.to === undefined ? FROM_HERE_ON : Buffer.from(range.to),
      access,
    }
  if (prefix === undefined || prefix === '') return { key: FROM_HERE_ON, rangeEnd: FROM_HERE_ON, access }
  return { key: Buffer.from(prefix), rangeEnd: endOfPrefix(Buffer.from(prefix)), access }
}

/** The first key behind all that begin with it. No byte of a text is 0xff. */
function endOfPrefix(prefix: Buffer): Buffer {
  const last = prefix.length - 1
  return Buffer.concat([prefix.subarray(0, last), Buffer.of((prefix[last] ?? 0) + 1)])
}

/**
 * Recorded before the first step: everything that is created is then known as declared, and a password that is being changed
 * as not known.
 */
export function begun({ cluster, users }: Observed): AuthMemory {
  const memory = cluster.recorded.auth ?? NOTHING_RECORDED
  const { users: declared, roles, rootSecretRef } = wantedAuth(cluster) ?? NOTHING_DECLARED
  const others = memory.users.filter(({ name }) => !declared.some((user) => user.name === name))
  const secretOf = ({ name, certificateOnly }: DeclaredUser): string => {
    const known = memory.users.find((one) => one.name === name)?.secret ?? UNKNOWN
    const secret = users?.secrets.get(name) ?? ''
    return known === secret || (secret === '' && !certificateOnly) ? known : UNKNOWN
  }
  return {
    ...memory,
    users: [...others, ...declared.map((user) => ({ name: user.name, secret: secretOf(user) }))],
    roles: [...new Set([...memory.roles, ...roles.map(({ name }) => name)])],
    ...(rootSecretRef !== undefined && { rootSecret: rootSecretRef }),
  }
}

/** After all steps, each of which but the last one increases the auth revision by one. */
export function done(observed: Observed, steps: readonly UserStep[]): AuthMemory | undefined {
  const { cluster, users } = observed
  const auth = wantedAuth(cluster)
  const isTurnedOff = steps.some(({ kind }) => kind === 'disable')
  if (auth === undefined || users === undefined || (cluster.spec.auth === undefined && !isTurnedOff)) return undefined
  const before = begun(observed)
  if (isTurnedOff) return before
  const secretOf = (user: DeclaredUser): string => {
    const secret = users.secrets.get(user.name) ?? ''
    if (user.certificateOnly) return ''
    return secret === '' ? (before.users.find(({ name }) => name === user.name)?.secret ?? UNKNOWN) : secret
  }
  return {
    ...(before.rootSecret !== undefined && { rootSecret: before.rootSecret }),
    users: auth.users.map((user) => ({ name: user.name, secret: secretOf(user) })),
    roles: auth.roles.map(({ name }) => name),
    revision: users.revision + steps.filter(({ kind }) => kind !== 'enable').length,
    hash: declarationHash(auth, users.secrets),
  }
}
