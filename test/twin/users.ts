/** Users and roles on both servers, and authentication on for as long as something runs; nothing of it is left afterwards. */
import type { Permission_Type } from '../../node-server/proto/generated/etcd/auth.ts'
import {
  AUTH_DISABLE,
  AUTH_ENABLE,
  ROLE_ADD,
  ROLE_DELETE,
  ROLE_GRANT_PERMISSION,
  ROLE_LIST,
  USER_ADD,
  USER_DELETE,
  USER_GRANT_ROLE,
  USER_LIST,
} from './methods.ts'
import type { Twin } from './twin.ts'

export interface PermissionSpec {
  readonly permType: Permission_Type
  readonly key: string
  readonly end: string
}

/** Of each user, by its name. What it may is granted to a role of the same name. */
export type UserSpecs = Readonly<Record<string, readonly PermissionSpec[]>>

const bytes = (text: string): Buffer => Buffer.from(text, 'latin1')
const passwordOf = (name: string): string => `${name} password`

export async function grant(twin: Twin, role: string, { permType, key, end }: PermissionSpec): Promise<void> {
  await twin.call(ROLE_GRANT_PERMISSION, { name: role, perm: { permType, key: bytes(key), rangeEnd: bytes(end) } })
}

/** Beside the users there is root. Nobody asks when `run` begins; root has cleaned up when this resolves. */
export async function withUsers(twin: Twin, users: UserSpecs, run: () => Promise<void>): Promise<void> {
  for (const name of ['root', ...Object.keys(users)]) await twin.call(USER_ADD, { name, password: passwordOf(name) })
  await twin.call(USER_GRANT_ROLE, { user: 'root', role: 'root' })
  for (const [name, permissions] of Object.entries(users)) {
    await twin.call(ROLE_ADD, { name })
    await twin.call(USER_GRANT_ROLE, { user: name, role: name })
    for (const permission of permissions) await grant(twin, name, permission)
  }
  await twin.call(AUTH_ENABLE)
  for (const name of ['root', ...Object.keys(users)]) await twin.signIn(name, passwordOf(name))
  try {
    await run()
  } finally {
    await removeAll(twin)
  }
}

async function removeAll(twin: Twin): Promise<void> {
  await twin.signIn('root', passwordOf('root'))
  twin.asker = 'root'
  await twin.call(AUTH_DISABLE)
  twin.asker = undefined
  for (const name of (await twin.call(USER_LIST))?.users ?? []) await twin.call(USER_DELETE, { name })
  for (const role of (await twin.call(ROLE_LIST))?.roles ?? []) await twin.call(ROLE_DELETE, { role })
}
