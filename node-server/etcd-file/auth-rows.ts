/**
 * Users and roles as etcd's rows.
 *
 *   auth        authEnabled: 1 or 0 (1); authRevision: a number (8, big-endian)
 *   authUsers   user name → authpb.User: name 1, password 2, roles 3, options 4 with no_password 1
 *   authRoles   role name → authpb.Role: name 1, keyPermission 2
 *
 * Source: etcd server/storage/schema/auth*.go, api/authpb/auth.proto.
 */
import { BinaryReader, BinaryWriter } from '@bufbuild/protobuf/wire'
import { ByteReader, ByteWriter } from '../../lib/bytes.ts'
import type { Row } from '../bolt/writer.ts'
import { decodeAuthRow, type AuthConfig, type Role, type User } from '../mvcc/auth/rows.ts'
import { inByteOrder } from '../mvcc/auth/state.ts'
import type { TableEntry } from '../mvcc/backend.ts'
import { Permission, UserAddOptions } from '../proto/generated/etcd/auth.ts'

const AUTH_ENABLED = 'authEnabled'
const AUTH_REVISION = 'authRevision'

const NAME_FIELD = 1
const PASSWORD_FIELD = 2
const ROLES_FIELD = 3
const OPTIONS_FIELD = 4
const PERMISSION_FIELD = 2
const BYTES = 2

export type AuthBucket = 'auth' | 'authUsers' | 'authRoles'

/** What a row of the table `auth` is in that bucket; nothing in the others. */
export function authRowsIn(bucket: AuthBucket, entry: TableEntry): readonly Row[] {
  const row = decodeAuthRow(entry)
  if (bucket === 'auth') return row.kind === 'config' ? configRows(row.config) : []
  if (bucket === 'authUsers')
    return row.kind === 'user' ? [{ key: Buffer.from(row.user.name), value: encodeUser(row.user) }] : []
  return row.kind === 'role' ? [{ key: Buffer.from(row.role.name), value: encodeRole(row.role) }] : []
}

function configRows({ isEnabled, revision }: AuthConfig): readonly Row[] {
  return [
    { key: Buffer.from(AUTH_ENABLED), value: Buffer.of(isEnabled ? 1 : 0) },
    { key: Buffer.from(AUTH_REVISION), value: new ByteWriter(8).u53(revision).finish() },
  ]
}

function encodeUser({ name, isWithoutPassword, passwordHash, roles }: User): Uint8Array {
  const writer = new BinaryWriter().tag(NAME_FIELD, BYTES).bytes(Buffer.from(name))
  if (passwordHash.length > 0) writer.tag(PASSWORD_FIELD, BYTES).bytes(passwordHash)
  for (const role of roles) writer.tag(ROLES_FIELD, BYTES).string(role)
  writer.tag(OPTIONS_FIELD, BYTES).bytes(UserAddOptions.encode({ noPassword: isWithoutPassword }).finish())
  return writer.finish()
}

function encodeRole({ name, permissions }: Role): Uint8Array {
  const writer = new BinaryWriter().tag(NAME_FIELD, BYTES).bytes(Buffer.from(name))
  for (const permission of permissions)
    writer.tag(PERMISSION_FIELD, BYTES).bytes(Permission.encode(permission).finish())
  return writer.finish()
}

/** Of the rows of the bucket `auth`; undefined when nobody has ever changed anything. Throws `MalformedBytes`. */
export function decodeConfig(rows: Iterable<Row>): AuthConfig | undefined {
  let isEnabled = false
  let revision: number | undefined
  for (const { key, value } of rows) {
    const name = Buffer.from(key).toString()
    if (name === AUTH_ENABLED) isEnabled = value[0] === 1
    else if (name === AUTH_REVISION) revision = new ByteReader(value).u53()
  }
  return isEnabled || (revision !== undefined && revision > 1) ? { isEnabled, revision: revision ?? 1 } : undefined
}

/** Throws when the value is not that message. */
export function decodeUser({ key, value }: Row): User {
  const reader = new BinaryReader(value)
  let passwordHash: Uint8Array = Buffer.alloc(0)
  let isWithoutPassword = false
  const roles: string[] = []
  while (reader.pos < reader.len) {
    const [field, wireType] = reader.tag()
    if (field === PASSWORD_FIELD) passwordHash = Buffer.from(reader.bytes())
    else if (field === ROLES_FIELD) roles.push(reader.string())
    else if (field === OPTIONS_FIELD) isWithoutPassword = UserAddOptions.decode(reader.bytes()).noPassword
    else reader.skip(wireType, field)
  }
  return { name: Buffer.from(key).toString(), isWithoutPassword, passwordHash, roles: inByteOrder(roles) }
}

/** Throws when the value is not that message. */
export function decodeRole({ key, value }: Row): Role {
  const reader = new BinaryReader(value)
  const permissions: Permission[] = []
  while (reader.pos < reader.len) {
    const [field, wireType] = reader.tag()
    if (field === PERMISSION_FIELD) permissions.push(Permission.decode(Buffer.from(reader.bytes())))
    else reader.skip(wireType, field)
  }
  return { name: Buffer.from(key).toString(), permissions }
}
