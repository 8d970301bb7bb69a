/**
 * Users, roles and whether they count, as replicated state. Every entry is asked against it, so the store keeps it in memory
 * beside the table `auth` (`rows.ts`); changed by `apply-auth.ts` only.
 *
 * The auth revision counts the changes of users and roles, from 1. What somebody may do is decided at the revision that is
 * in force when the request is applied or read; whoever was identified at an earlier one is refused (reliability: auth is
 * checked at the applied revision).
 * Source: etcd's server/auth/store.go and range_perm_cache.go.
 */
import { compareBytes } from '../../../lib/bytes.ts'
import { Permission_Type, type Permission } from '../../proto/generated/etcd/auth.ts'
import type { WriteBuffer } from '../write-buffer.ts'
import { mergeRanges, pointRange, type KeyInterval, type Ranges } from './ranges.ts'
import {
  CONFIG_KEY,
  decodeAuthRow,
  encodeConfig,
  encodeRole,
  encodeUser,
  roleKey,
  userKey,
  type AuthRow,
  type Role,
  type User,
} from './rows.ts'

/** Who asks, and at which auth revision that was found out. */
export interface AuthInfo {
  readonly username: string
  readonly revision: number
}

export const ROOT_USER = 'root'
export const ROOT_ROLE = 'root'

const FIRST_REVISION = 1

/** What a user may do by all its roles together. */
export interface Granted {
  readonly read: Ranges
  readonly write: Ranges
}

export class AuthState {
  readonly #buffer: WriteBuffer
  readonly #users = new Map<string, User>()
  readonly #roles = new Map<string, Role>()
  /** Made when it is asked for; forgotten with every change. */
  readonly #granted = new Map<string, Granted>()
  #isEnabled = false
  #revision = FIRST_REVISION

  /** Reads the table; throws `MalformedBytes`. */
  constructor(buffer: WriteBuffer) {
    this.#buffer = buffer
    for (const row of buffer.scan('auth', Buffer.of(0), undefined)) this.#take(decodeAuthRow(row))
  }

  get isEnabled(): boolean {
    return this.#isEnabled
  }

  get revision(): number {
    return this.#revision
  }

  /** Nobody has ever changed anything here. */
  get isUntouched(): boolean {
    return !this.#isEnabled && this.#revision === FIRST_REVISION
  }

  user(name: string): User | undefined {
    return this.#users.get(name)
  }

  role(name: string): Role | undefined {
    return this.#roles.get(name)
  }

  /** By their names, byte by byte. */
  userNames(): string[] {
    return inByteOrder(this.#users.keys())
  }

  roleNames(): string[] {
    return inByteOrder(this.#roles.keys())
  }

  users(): Iterable<User> {
    return this.#users.values()
  }

  /** Of a user that is there. */
  granted(user: User): Granted {
    let granted = this.#granted.get(user.name)
    if (granted === undefined) {
      const permissions = user.roles.flatMap((role) => this.#roles.get(role)?.permissions ?? [])
      granted = {
        read: rangesOf(permissions, Permission_Type.READ),
        write: rangesOf(permissions, Permission_Type.WRITE),
      }
      this.#granted.set(user.name, granted)
    }
    return granted
  }

  putUser(user: User): void {
    this.#users.set(user.name, user)
    this.#buffer.put('auth', userKey(user.name), encodeUser(user))
  }

  removeUser(name: string): void {
    this.#users.delete(name)
    this.#buffer.remove('auth', userKey(name))
  }

  putRole(role: Role): void {
    this.#roles.set(role.name, role)
    this.#buffer.put('auth', roleKey(role.name), encodeRole(role))
  }

  removeRole(name: string): void {
    this.#roles.delete(name)
    this.#buffer.remove('auth', roleKey(name))
  }

  /** It makes no new revision, as in etcd. */
  enable(): void {
    this.#isEnabled = true
    this.#putConfig()
  }

  disable(): void {
    this.#isEnabled = false
    this.countChange()
  }

  /** Users or roles are no longer what they were. */
  countChange(): void {
    this.#revision += 1
    this.#granted.clear()
    this.#putConfig()
  }

  #putConfig(): void {
    this.#buffer.put('auth', CONFIG_KEY, encodeConfig({ isEnabled: this.#isEnabled, revision: this.#revision }))
  }

  #take(row: AuthRow): void {
    if (row.kind === 'user') this.#users.set(row.user.name, row.user)
    else if (row.kind === 'role') this.#roles.set(row.role.name, row.role)
    else {
      this.#isEnabled = row.config.isEnabled
      this.#revision = row.config.revision
    }
  }
}

export function hasRootRole({ roles }: User): boolean {
  return roles.includes(ROOT_ROLE)
}

/** As what the members themselves ask: root is always there while authentication is on. */
export function ownAuthInfo({ isEnabled, revision }: AuthState): AuthInfo | undefined {
  return isEnabled ? { username: ROOT_USER, revision } : undefined
}

export function inByteOrder(names: Iterable<string>): string[] {
  return [...names].sort((a, b) => compareBytes(Buffer.from(a), Buffer.from(b)))
}

/** As etcd's (key, range_end): empty means one key, a zero byte that there is no end. */
export function askedRange(key: Uint8Array, rangeEnd: Uint8Array): KeyInterval {
  if (rangeEnd.length === 0) return pointRange(key)
  return { start: key, end: rangeEnd.length === 1 && rangeEnd[0] === 0 ? undefined : rangeEnd }
}

function rangesOf(permissions: readonly Permission[], wanted: Permission_Type): Ranges {
  return mergeRanges(
    permissions
      .filter(({ permType }) => permType === wanted || permType === Permission_Type.READWRITE)
      .map(({ key, rangeEnd }) => askedRange(key, rangeEnd)),
  )
}
