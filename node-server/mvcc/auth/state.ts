/**
 * Users, roles and whether they count, as replicated state. Every entry is asked against it, so the store keeps it in memory
 * beside its table; changed by `apply-auth.ts` only.
 *
 *   table `auth`   'c'             → is enabled (1) ‖ auth revision (8)
 *                  'u' ‖ user name → is without password (1) ‖ bcrypt's hash ‖ names of roles
 *                  'r' ‖ role name → of each permission: type (4) ‖ key ‖ range end
 *                  hash, names, keys and range ends have their length in 4 bytes
 *
 * The auth revision counts the changes of users and roles, from 1. What somebody may do is decided at the revision that is
 * in force when the request is applied or read; whoever was identified at an earlier one is refused (reliability: auth is
 * checked at the applied revision).
 * Source: etcd's server/auth/store.go and range_perm_cache.go.
 */
import { ByteReader, ByteWriter, compareBytes, MalformedBytes } from '../../../lib/bytes.ts'
import { Permission_Type, type Permission } from '../../proto/generated/etcd/auth.ts'
import { MAX_TABLE_KEY_SIZE_BYTES } from '../backend.ts'
import type { WriteBuffer } from '../write-buffer.ts'
import { mergeRanges, pointRange, type KeyInterval, type Ranges } from './ranges.ts'

/** Who asks, and at which auth revision that was found out. */
export interface AuthInfo {
  readonly username: string
  readonly revision: number
}

export const ROOT_USER = 'root'
export const ROOT_ROLE = 'root'

/** In UTF-8. */
export const MAX_NAME_SIZE_BYTES = MAX_TABLE_KEY_SIZE_BYTES - 1

const FIRST_REVISION = 1
const CONFIG_KEY = Buffer.from('c')
const USER = 0x75
const ROLE = 0x72

export interface User {
  readonly name: string
  /** It authenticates by its certificate only; the hash is empty. */
  readonly isWithoutPassword: boolean
  /** As bcrypt writes it. */
  readonly passwordHash: Uint8Array
  /** In order of their bytes. The role root need not be there. */
  readonly roles: readonly string[]
}

export interface Role {
  readonly name: string
  /** In key order. */
  readonly permissions: readonly Permission[]
}

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
    for (const { key, value } of buffer.scan('auth', Buffer.of(0), undefined)) this.#read(key, value)
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
    this.#buffer.put('auth', rowKey(USER, user.name), encodeUser(user))
  }

  removeUser(name: string): void {
    this.#users.delete(name)
    this.#buffer.remove('auth', rowKey(USER, name))
  }

  putRole(role: Role): void {
    this.#roles.set(role.name, role)
    this.#buffer.put('auth', rowKey(ROLE, role.name), encodeRole(role))
  }

  removeRole(name: string): void {
    this.#roles.delete(name)
    this.#buffer.remove('auth', rowKey(ROLE, name))
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
    const value = new ByteWriter(16)
      .u8(this.#isEnabled ? 1 : 0)
      .u53(this.#revision)
      .finish()
    this.#buffer.put('auth', CONFIG_KEY, value)
  }

  #read(key: Uint8Array, value: Uint8Array): void {
    const name = Buffer.from(key.subarray(1)).toString()
    if (key[0] === USER) this.#users.set(name, decodeUser(name, value))
    else if (key[0] === ROLE) this.#roles.set(name, decodeRole(name, value))
    else if (compareBytes(key, CONFIG_KEY) === 0) {
      const reader = new ByteReader(value)
      this.#isEnabled = reader.u8() === 1
      this.#revision = reader.u53()
      reader.end()
    } else throw new MalformedBytes(`a row of users and roles of kind ${key[0]}`)
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

function rowKey(kind: number, name: string): Buffer {
  return Buffer.concat([Buffer.of(kind), Buffer.from(name)])
}

function encodeUser({ isWithoutPassword, passwordHash, roles }: User): Buffer {
  const writer = new ByteWriter(128).u8(isWithoutPassword ? 1 : 0).bytes(passwordHash)
  for (const role of roles) writer.text(role)
  return writer.finish()
}

function decodeUser(name: string, value: Uint8Array): User {
  const reader = new ByteReader(value)
  const isWithoutPassword = reader.u8() === 1
  const passwordHash = Buffer.from(reader.bytes())
  const roles: string[] = []
  while (reader.remainingBytes > 0) roles.push(reader.text())
  return { name, isWithoutPassword, passwordHash, roles }
}

function encodeRole({ permissions }: Role): Buffer {
  const writer = new ByteWriter(128)
  for (const { permType, key, rangeEnd } of permissions)
    writer
      .u32(permType >>> 0)
      .bytes(key)
      .bytes(rangeEnd)
  return writer.finish()
}

function decodeRole(name: string, value: Uint8Array): Role {
  const reader = new ByteReader(value)
  const permissions: Permission[] = []
  while (reader.remainingBytes > 0) {
    // A type of a newer protocol permits nothing, and is shown as it came.
    const permType = (reader.u32() | 0) as Permission_Type
    permissions.push({ permType, key: Buffer.from(reader.bytes()), rangeEnd: Buffer.from(reader.bytes()) })
  }
  return { name, permissions }
}
