/**
 * Users, roles and whether they count as rows of the table `auth`:
 *
 *   'c'             → is enabled (1) ‖ auth revision (8)
 *   'u' ‖ user name → is without password (1) ‖ bcrypt's hash ‖ names of roles
 *   'r' ‖ role name → of each permission: type (4) ‖ key ‖ range end
 *
 * Hash, names, keys and range ends have their length in 4 bytes. Decoders throw `MalformedBytes`.
 */
import { ByteReader, ByteWriter, compareBytes, MalformedBytes } from '../../../lib/bytes.ts'
import type { Permission, Permission_Type } from '../../proto/generated/etcd/auth.ts'
import { MAX_TABLE_KEY_SIZE_BYTES, type TableEntry } from '../backend.ts'

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

export interface AuthConfig {
  readonly isEnabled: boolean
  readonly revision: number
}

export type AuthRow =
  | { readonly kind: 'config'; readonly config: AuthConfig }
  | { readonly kind: 'user'; readonly user: User }
  | { readonly kind: 'role'; readonly role: Role }

/** In UTF-8. */
export const MAX_NAME_SIZE_BYTES = MAX_TABLE_KEY_SIZE_BYTES - 1

export const CONFIG_KEY = Buffer.from('c')
const USER = 0x75
const ROLE = 0x72

export function userKey(name: string): Buffer {
  return Buffer.concat([Buffer.of(USER), Buffer.from(name)])
}

export function roleKey(name: string): Buffer {
  return Buffer.concat([Buffer.of(ROLE), Buffer.from(name)])
}

export function encodeConfig({ isEnabled, revision }: AuthConfig): Buffer {
  return new ByteWriter(16)
    .u8(isEnabled ? 1 : 0)
    .u53(revision)
    .finish()
}

export function encodeUser({ isWithoutPassword, passwordHash, roles }: User): Buffer {
  const writer = new ByteWriter(128).u8(isWithoutPassword ? 1 : 0).bytes(passwordHash)
  for (const role of roles) writer.text(role)
  return writer.finish()
}

export function encodeRole({ permissions }: Role): Buffer {
  const writer = new ByteWriter(128)
  for (const { permType, key, rangeEnd } of permissions)
    writer
      .u32(permType >>> 0)
      .bytes(key)
      .bytes(rangeEnd)
  return writer.finish()
}

export function decodeAuthRow({ key, value }: TableEntry): AuthRow {
  const name = Buffer.from(key.subarray(1)).toString()
  const reader = new ByteReader(value)
  if (key[0] === USER) return { kind: 'user', user: readUser(name, reader) }
  if (key[0] === ROLE) return { kind: 'role', role: readRole(name, reader) }
  if (compareBytes(key, CONFIG_KEY) !== 0) throw new MalformedBytes(`a row of users and roles of kind ${key[0]}`)
  const config = { isEnabled: reader.u8() === 1, revision: reader.u53() }
  reader.end()
  return { kind: 'config', config }
}

function readUser(name: string, reader: ByteReader): User {
  const isWithoutPassword = reader.u8() === 1
  const passwordHash = Buffer.from(reader.bytes())
  const roles: string[] = []
  while (reader.remainingBytes > 0) roles.push(reader.text())
  return { name, isWithoutPassword, passwordHash, roles }
}

function readRole(name: string, reader: ByteReader): Role {
  const permissions: Permission[] = []
  while (reader.remainingBytes > 0) {
    // A type of a newer protocol permits nothing, and is shown as it came.
    const permType = (reader.u32() | 0) as Permission_Type
    permissions.push({ permType, key: Buffer.from(reader.bytes()), rangeEnd: Buffer.from(reader.bytes()) })
  }
  return { name, permissions }
}
