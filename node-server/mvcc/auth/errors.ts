/** Why users, roles and permissions refuse a request. The API maps each to etcd's gRPC code and text. */
export type AuthErrorKind =
  | 'auth-not-enabled'
  | 'auth-failed'
  /** A user without a password was asked for one. */
  | 'no-password-user'
  /** The users or roles have changed since the token, or the answer, was made. */
  | 'auth-old-revision'
  | 'permission-denied'
  | 'root-user-missing'
  | 'root-role-missing'
  /** Also: nobody said who asks. */
  | 'user-empty'
  | 'user-exists'
  | 'user-not-found'
  | 'role-empty'
  | 'role-exists'
  | 'role-not-found'
  | 'role-not-granted'
  | 'permission-not-given'
  | 'permission-not-granted'
  /** A range that is none, or what would leave nobody in charge while authentication is on. */
  | 'invalid-auth-management'
  /** See `MAX_NAME_SIZE_BYTES`; etcd has no such limit. */
  | 'name-too-long'

const WORDS: Readonly<Record<AuthErrorKind, string>> = {
  'auth-not-enabled': 'authentication is off',
  'auth-failed': 'no such user, or another password',
  'no-password-user': 'the user has no password',
  'auth-old-revision': 'users or roles have changed meanwhile',
  'permission-denied': 'the user may not',
  'root-user-missing': 'there is no user root',
  'root-role-missing': 'the user root does not have the role root',
  'user-empty': 'there is no user name',
  'user-exists': 'there is a user of that name already',
  'user-not-found': 'there is no such user',
  'role-empty': 'there is no role name',
  'role-exists': 'there is a role of that name already',
  'role-not-found': 'there is no such role',
  'role-not-granted': 'the user does not have the role',
  'permission-not-given': 'there is no permission in the request',
  'permission-not-granted': 'the role does not have the permission',
  'invalid-auth-management': 'no range, or a change that would leave nobody in charge',
  'name-too-long': 'the name is longer than the store can index',
}

/** For logs. */
export function describeAuthError(kind: AuthErrorKind): string {
  return WORDS[kind]
}

export function isAuthErrorKind(kind: string): kind is AuthErrorKind {
  return Object.hasOwn(WORDS, kind)
}
