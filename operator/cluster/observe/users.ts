/**
 * Reads what spec.auth is about: the Secrets with passwords, and users and roles, if they may have changed since they were as declared.
 * I/O, but no decision. Passwords are handed on beside what is observed, so that no decision, condition or log has one.
 */
import { ROOT, type SecretRef } from '../../api/auth.ts'
import type { Observed, ObservedUsers, UsersProblem } from '../observed.ts'
import { KubeError, type ReconcileDeps, type UsersClient, type UsersFailure } from '../ports.ts'
import { isAsDeclared, wantedAuth } from '../rules/users.ts'

/** What it takes to change users and roles. */
export interface Login {
  readonly users: UsersClient
  /** Of a member. */
  readonly url: string
  /** Empty while authentication is off. */
  readonly token: string
  readonly passwords: ReadonlyMap<string, string>
}

interface SeenUsers extends Pick<Observed, 'users' | 'usersProblem'> {
  readonly login: Login | undefined
}

const NONE: SeenUsers = { users: undefined, usersProblem: undefined, login: undefined }

/** `client` has what this cluster's members are to be shown. */
export async function observeUsers(deps: ReconcileDeps, client: UsersClient, observed: Observed): Promise<SeenUsers> {
  const { cluster, membership, pods } = observed
  const auth = wantedAuth(cluster)
  const leader = membership?.leader?.adminUrl
  const url = [...pods.values()].find(({ adminUrl }) => adminUrl !== undefined && adminUrl === leader)?.clientUrl
  if (auth === undefined || url === undefined) return NONE
  const status = await client.status(url)
  if (!status.ok) return failed(status.error)
  const { secrets, passwords } = await readPasswords(deps, observed)
  const users: ObservedUsers = { ...status.value, secrets, state: undefined }
  if (isAsDeclared(cluster, users)) return { ...NONE, users }
  const token = await tokenOf(client, url, users, passwords.get(ROOT))
  if (typeof token !== 'string') return { ...NONE, users, usersProblem: token }
  const { users: known = [], roles: knownRoles = [] } = cluster.recorded.auth ?? {}
  const names = new Set([ROOT, ...[...auth.users, ...known].map(({ name }) => name)])
  const roleNames = new Set([ROOT, ...auth.roles.map(({ name }) => name), ...knownRoles])
  const found = await client.users(url, token, [...names])
  if (!found.ok) return { ...failed(found.error), users }
  const roles = await client.roles(url, token, [...roleNames])
  if (!roles.ok) return { ...failed(roles.error), users }
  const state = { users: found.value, roles: roles.value }
  return { users: { ...users, state }, usersProblem: undefined, login: { users: client, url, token, passwords } }
}

function failed({ kind, message }: UsersFailure): SeenUsers {
  return { ...NONE, usersProblem: { reason: kind === 'refused' ? 'MemberRefused' : 'MemberUnreachable', message } }
}

const WAY_OUT =
  'the password in the Secret of root has to be that of the cluster: put the earlier one back into the Secret, or change it first with etcdctl user passwd root'

async function tokenOf(
  client: UsersClient,
  url: string,
  { isEnabled }: ObservedUsers,
  password: string | undefined,
): Promise<string | UsersProblem> {
  if (!isEnabled) return ''
  if (password === undefined)
    return { reason: 'LoginFailed', message: 'authentication is on, and no Secret has the password of root' }
  const login = await client.login(url, ROOT, password)
  if (login.ok) return login.value
  const { kind, message } = login.error
  if (kind === 'unreachable') return { reason: 'MemberUnreachable', message }
  return { reason: 'LoginFailed', message: `root: ${message}: ${WAY_OUT}` }
}

interface Passwords {
  readonly secrets: Map<string, string>
  readonly passwords: Map<string, string>
}

/** Of root and of the declared users. A Secret that cannot be read counts as one without a password. */
async function readPasswords({ reader }: ReconcileDeps, { cluster }: Observed): Promise<Passwords> {
  const auth = wantedAuth(cluster)
  const rootRef = auth?.rootSecretRef ?? cluster.recorded.auth?.rootSecret
  const refs: readonly (readonly [string, SecretRef | undefined])[] = [
    [ROOT, rootRef],
    ...(auth?.users ?? []).map(({ name, passwordSecretRef }) => [name, passwordSecretRef] as const),
  ]
  const found: Passwords = { secrets: new Map(), passwords: new Map() }
  const read = async (user: string, { name, key }: SecretRef): Promise<void> => {
    const ref = { apiVersion: 'v1', kind: 'Secret', namespace: cluster.namespace, name }
    const secret = await reader.get(ref)
    const encoded: unknown = Object(secret?.['data'])[key]
    const password = typeof encoded === 'string' ? Buffer.from(encoded, 'base64').toString() : ''
    const { uid = '', resourceVersion = '' } = secret?.metadata ?? {}
    found.secrets.set(user, password === '' ? '' : `${uid}/${resourceVersion}`)
    if (password !== '') found.passwords.set(user, password)
  }
  await Promise.all(
    refs.map(async ([user, ref]) => {
      try {
        if (ref !== undefined) await read(user, ref)
      } catch (error) {
        if (!(error instanceof KubeError)) throw error
        found.secrets.set(user, '')
      }
    }),
  )
  return found
}
