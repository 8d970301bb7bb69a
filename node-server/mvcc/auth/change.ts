/**
 * Changes of users and roles as commands of the log. One that a client asks for is etcd's request, its password hashed:
 * passwords are in no log. That somebody has authenticated is one too, so that a simple token is known to every member:
 *
 *   kind (1) ‖ etcd's request                                          all but authenticate
 *   kind (1) ‖ user name ‖ auth revision (8) ‖ prefix of the token     authenticate; the password was checked at that revision
 */
import { ByteReader, ByteWriter } from '../../../lib/bytes.ts'

const KIND_CODES = {
  enable: 1,
  disable: 2,
  authenticate: 3,
  'user-add': 4,
  'user-delete': 5,
  'user-change-password': 6,
  'user-grant-role': 7,
  'user-revoke-role': 8,
  'role-add': 9,
  'role-delete': 10,
  'role-grant-permission': 11,
  'role-revoke-permission': 12,
} as const

export type AuthChangeKind = keyof typeof KIND_CODES

const KINDS: ReadonlyMap<number, AuthChangeKind> = new Map(
  Object.entries(KIND_CODES).map(([kind, code]) => [code, kind as AuthChangeKind]),
)

export function encodeAuthChange(kind: AuthChangeKind, request: Uint8Array): Buffer {
  return Buffer.concat([Buffer.of(KIND_CODES[kind]), request])
}

/** Undefined: no change of this version. The request shares memory with the input. */
export function decodeAuthChange(
  bytes: Uint8Array,
): { readonly kind: AuthChangeKind; readonly request: Uint8Array } | undefined {
  const kind = KINDS.get(bytes[0] ?? 0)
  return kind && { kind, request: bytes.subarray(1) }
}

export interface Authenticated {
  readonly username: string
  /** At which the password was checked. */
  readonly revision: number
  readonly tokenPrefix: string
}

export function encodeAuthenticated({ username, revision, tokenPrefix }: Authenticated): Buffer {
  return new ByteWriter(64).text(username).u53(revision).text(tokenPrefix).finish()
}

/** Throws `MalformedBytes`. */
export function decodeAuthenticated(bytes: Uint8Array): Authenticated {
  const reader = new ByteReader(bytes)
  const authenticated = { username: reader.text(), revision: reader.u53(), tokenPrefix: reader.text() }
  reader.end()
  return authenticated
}
