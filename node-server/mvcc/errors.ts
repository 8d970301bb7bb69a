/** Why the store refuses a request. Expected failures: the API maps each to etcd's gRPC code and text, in one table. */
import { unreachable } from '../../lib/assert.ts'
import { describeAuthError, isAuthErrorKind, type AuthErrorKind } from './auth/errors.ts'

export type StoreError =
  /** Below the compacted revision; for a compaction, at or below it. `revision` is the compacted one. */
  | { readonly kind: 'compacted'; readonly revision: number }
  /** Above the current revision, which is `revision`. */
  | { readonly kind: 'future-revision'; readonly revision: number }
  /** `ignore_value` or `ignore_lease` on a key that is not there, or an empty operation in a txn (as in etcd). */
  | { readonly kind: 'key-not-found' }
  | { readonly kind: 'lease-not-found' }
  | { readonly kind: 'lease-exists' }
  /** See `MAX_LEASE_TTL_SECONDS`. */
  | { readonly kind: 'lease-ttl-too-large' }
  | { readonly kind: 'empty-key' }
  /** See `isKeyTooLong`; etcd has no such limit. */
  | { readonly kind: 'key-too-long' }
  | { readonly kind: 'value-provided' }
  | { readonly kind: 'lease-provided' }
  | { readonly kind: 'duplicate-key' }
  | { readonly kind: 'too-many-operations' }
  | { readonly kind: 'invalid-sort-option' }
  /** A NOSPACE alarm is in force. */
  | { readonly kind: 'no-space' }
  /** A CORRUPT alarm is in force. */
  | { readonly kind: 'corrupt' }
  /** The request's bytes are not the protobuf message that they should be. */
  | { readonly kind: 'malformed-request' }
  | { readonly kind: AuthErrorKind }

/** For logs; clients get etcd's texts from the API. */
export function describeStoreError(error: StoreError): string {
  switch (error.kind) {
    case 'compacted':
      return `revision ${error.revision} and below have been compacted`
    case 'future-revision':
      return `the current revision is ${error.revision}, a later one was asked for`
    case 'key-not-found':
      return 'key not found'
    case 'lease-not-found':
      return 'lease not found'
    case 'lease-exists':
      return 'there is a lease with that ID already'
    case 'lease-ttl-too-large':
      return 'the TTL is longer than a lease may live'
    case 'empty-key':
      return 'the key is empty'
    case 'key-too-long':
      return 'the key is longer than the store can index'
    case 'value-provided':
      return 'a value together with ignore_value'
    case 'lease-provided':
      return 'a lease together with ignore_lease'
    case 'duplicate-key':
      return 'one txn changes a key twice'
    case 'too-many-operations':
      return 'the txn has too many operations'
    case 'invalid-sort-option':
      return 'unknown sort order or target'
    case 'no-space':
      return 'a member has no space left'
    case 'corrupt':
      return 'members disagree about the data'
    case 'malformed-request':
      return 'the request is not the protobuf message that it should be'
    default:
      return isAuthErrorKind(error.kind) ? describeAuthError(error.kind) : unreachable(error.kind)
  }
}
